/* The floor for metadata without its image: removes every *.json in DIR and the folders in it that has no
 * *.jpg of the same stem in its folder. One listing, a hash for each image, no look at anything.
 *
 *     orphans DIR
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct list {
    uint64_t *images;
    char *names; /* of metadata, each with its NUL */
    size_t image_count, image_room, length, room;
};

/* FNV-1a; never 0, which marks an empty place. */
static uint64_t hash(const char *text, size_t length)
{
    uint64_t x = 0xcbf29ce484222325;
    for (size_t i = 0; i < length; i++)
        x = (x ^ (unsigned char)text[i]) * 0x100000001b3;
    return x | 1;
}

static void *grown(void *memory, size_t need, size_t *room, size_t each)
{
    if (need <= *room)
        return memory;
    *room = need * 2;
    memory = realloc(memory, *room * each);
    if (memory == NULL)
        err(1, "no memory");
    return memory;
}

static void prune(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL)
        err(1, "%s", name);
    struct list list = {0};
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (entry->d_type == DT_DIR) {
            if (entry->d_name[0] != '.')
                prune(fd, entry->d_name);
        } else if (length > 4 && strcmp(entry->d_name + length - 4, ".jpg") == 0) {
            list.images = grown(list.images, list.image_count + 1, &list.image_room, sizeof(uint64_t));
            list.images[list.image_count++] = hash(entry->d_name, length - 4);
        } else if (length > 5 && strcmp(entry->d_name + length - 5, ".json") == 0) {
            list.names = grown(list.names, list.length + length + 1, &list.room, 1);
            memcpy(list.names + list.length, entry->d_name, length + 1);
            list.length += length + 1;
        }
    }
    size_t places = 16;
    while (places < list.image_count * 2)
        places *= 2;
    uint64_t *set = calloc(places, sizeof *set);
    if (set == NULL)
        err(1, "no memory");
    for (size_t i = 0; i < list.image_count; i++) {
        size_t place = list.images[i] >> 7 & (places - 1);
        while (set[place] != 0)
            place = (place + 1) & (places - 1);
        set[place] = list.images[i];
    }
    for (size_t at = 0, length; at < list.length; at += length + 1) {
        const char *metadata = list.names + at;
        length = strlen(metadata);
        uint64_t wanted = hash(metadata, length - 5);
        size_t place = wanted >> 7 & (places - 1);
        while (set[place] != 0 && set[place] != wanted)
            place = (place + 1) & (places - 1);
        if (set[place] == 0 && unlinkat(fd, metadata, 0) < 0)
            err(1, "%s", metadata);
    }
    free(set);
    free(list.images);
    free(list.names);
    closedir(folder);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        errx(2, "usage: orphans DIR");
    prune(AT_FDCWD, argv[1]);
}
