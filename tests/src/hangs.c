/* A filesystem that hangs: it is mounted, takes every question, and answers none.
 *
 *     hangs FOLDER nothing|getattr
 *
 * With `getattr` it says what its top is, and hangs when it is asked anything else. It prints `mounted`, and
 * ends with a signal. Who waits for it cannot be killed until then.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char question[1 << 20];

static void answer(int device, const struct fuse_in_header *asked, const void *body, size_t length)
{
    char text[4096];
    struct fuse_out_header header = {
        .len = (unsigned int)(sizeof header + length),
        .unique = asked->unique,
    };
    memcpy(text, &header, sizeof header);
    memcpy(text + sizeof header, body, length);
    if (write(device, text, header.len) != (ssize_t)header.len)
        err(1, "answer");
}

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "usage: hangs FOLDER nothing|getattr");
    int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0)
        err(1, "/dev/fuse");
    char options[128];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
    if (mount("hangs", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) != 0)
        err(1, "mount");
    puts("mounted");
    fflush(stdout);
    for (;;) {
        ssize_t length = read(device, question, sizeof question);
        if (length < (ssize_t)sizeof(struct fuse_in_header))
            return 0;
        const struct fuse_in_header *asked = (const void *)question;
        if (asked->opcode == FUSE_INIT) {
            struct fuse_init_out hello = {
                .major = FUSE_KERNEL_VERSION,
                .minor = FUSE_KERNEL_MINOR_VERSION,
                .max_readahead = 65536,
                .max_write = 65536,
            };
            answer(device, asked, &hello, sizeof hello);
        } else if (asked->opcode == FUSE_GETATTR && strcmp(argv[2], "getattr") == 0) {
            struct fuse_attr_out top = {
                .attr = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 },
            };
            answer(device, asked, &top, sizeof top);
        }
    }
}
