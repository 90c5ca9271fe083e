/* The floor: what removing old files costs when nothing else is done.
 *
 *     floor [-t THREADS] [-i] DIR DAYS
 *
 * One pass of openat, getdents64, statx and unlinkat, the last two relative to the open folder. Nothing is
 * checked, claimed or written down, so no tool that is safe to use can be expected to get below it.
 *
 *     -t  so many threads; each takes whole folders
 *     -i  visit the entries of each listing in the order of their inodes. A listing is what one getdents64
 *         brings: 16 MiB, about a quarter of a million names
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SMALL = 32 << 10, LARGE = 16 << 20 };

static bool by_inode;
static time_t cutoff;

/* Folders that wait for a thread. The work is over when none waits and no thread is in one. */
struct waiting {
    struct waiting *next;
    char path[];
};
static struct waiting *waiting;
static int busy;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void add_folder(const char *parent, const char *name)
{
    size_t size = strlen(parent) + strlen(name) + 2;
    struct waiting *folder = malloc(sizeof *folder + size);
    if (!folder)
        err(1, "malloc");
    snprintf(folder->path, size, "%s/%s", parent, name);
    pthread_mutex_lock(&lock);
    folder->next = waiting;
    waiting = folder;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static struct waiting *take_folder(void)
{
    pthread_mutex_lock(&lock);
    while (!waiting && busy)
        pthread_cond_wait(&changed, &lock);
    struct waiting *folder = waiting;
    if (folder) {
        waiting = folder->next;
        busy++;
    }
    pthread_mutex_unlock(&lock);
    return folder;
}

static void folder_done(struct waiting *folder)
{
    free(folder);
    pthread_mutex_lock(&lock);
    if (--busy == 0)
        pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static int compare_inodes(const void *a, const void *b)
{
    ino_t x = (*(struct dirent64 *const *)a)->d_ino, y = (*(struct dirent64 *const *)b)->d_ino;
    return (x > y) - (x < y);
}

static void visit(int dir, const char *path, const struct dirent64 *entry)
{
    if (entry->d_type == DT_DIR) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            add_folder(path, entry->d_name);
    } else if (entry->d_type == DT_REG) {
        struct statx look;
        if (statx(dir, entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &look) < 0)
            err(1, "%s/%s", path, entry->d_name);
        if (look.stx_mtime.tv_sec < cutoff && unlinkat(dir, entry->d_name, 0) < 0)
            err(1, "%s/%s", path, entry->d_name);
    }
}

static void visit_sorted(int dir, const char *path, char *listing, ssize_t length)
{
    size_t count = 0, n = 0;
    for (ssize_t at = 0; at < length; at += ((struct dirent64 *)(listing + at))->d_reclen)
        count++;
    struct dirent64 **entries = malloc(count * sizeof *entries);
    if (!entries)
        err(1, "malloc");
    for (ssize_t at = 0; at < length; at += entries[n++]->d_reclen)
        entries[n] = (struct dirent64 *)(listing + at);
    qsort(entries, count, sizeof *entries, compare_inodes);
    for (n = 0; n < count; n++)
        visit(dir, path, entries[n]);
    free(entries);
}

static void prune(const char *path, char *listing, size_t size)
{
    int dir = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        err(1, "%s", path);
    ssize_t length;
    while ((length = getdents64(dir, listing, size)) > 0) {
        if (by_inode) {
            visit_sorted(dir, path, listing, length);
            continue;
        }
        for (ssize_t at = 0; at < length; at += ((struct dirent64 *)(listing + at))->d_reclen)
            visit(dir, path, (struct dirent64 *)(listing + at));
    }
    if (length < 0)
        err(1, "%s", path);
    close(dir);
}

static void *work(void *unused)
{
    size_t size = by_inode ? LARGE : SMALL;
    char *listing = malloc(size);
    if (!listing)
        err(1, "malloc");
    for (struct waiting *folder; (folder = take_folder());) {
        prune(folder->path, listing, size);
        folder_done(folder);
    }
    free(listing);
    return unused;
}

int main(int argc, char **argv)
{
    int threads = 1, option;
    while ((option = getopt(argc, argv, "t:i")) != -1) {
        if (option == 't')
            threads = atoi(optarg);
        else if (option == 'i')
            by_inode = true;
        else
            return 2;
    }
    if (argc - optind != 2 || threads < 1 || threads > 64)
        errx(2, "usage: floor [-t THREADS] [-i] DIR DAYS");
    cutoff = time(NULL) - atol(argv[optind + 1]) * 24 * 3600;
    add_folder(argv[optind], ".");

    pthread_t others[64];
    for (int i = 1; i < threads; i++)
        if (pthread_create(&others[i], NULL, work, NULL) != 0)
            errx(1, "no thread");
    work(NULL);
    for (int i = 1; i < threads; i++)
        pthread_join(others[i], NULL);
}
