/* Makes the tree that the contenders prune:
 *
 *     tree [--refill] many|flat DIR FILES FOLDERS
 *
 * FILES files of one byte lie in DIR itself (flat, where FOLDERS is 1) or spread over so many folders in
 * it (many). Every other file is 10 days old, the rest is one hour old. --refill makes only the old ones
 * that are missing. Two threads do the work, in portions.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 2, PORTION = 1000, HOUR = 3600, DAY = 24 * HOUR };
static const time_t FIRST_PICTURE = 1795230245; /* 2026-11-21 03:04:05 UTC */

static bool refill, flat;
static long files, folders;
static int root;
static time_t now;
static atomic_long next_portion;

static bool is_old(long file)
{
    return file % 2 == 0;
}

/* The name below the root, as an image station would give it: a picture every two seconds. */
static void name_of(long file, char *name, size_t size)
{
    char when[32];
    struct tm parts;
    time_t taken = FIRST_PICTURE + 2 * file;
    strftime(when, sizeof when, "%Y%m%d-%H%M%S", gmtime_r(&taken, &parts));
    if (flat)
        snprintf(name, size, "cam_%s_%07ld.jpg", when, file);
    else
        snprintf(name, size, "station-%05ld/cam_%s_%07ld.jpg", file * folders / files, when, file);
}

static void make(long file)
{
    char name[80];
    name_of(file, name, sizeof name);
    int fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST && refill)
        return;
    time_t touched = now - (is_old(file) ? 10 * DAY : HOUR);
    struct timespec times[2] = {{.tv_sec = touched}, {.tv_sec = touched}};
    if (fd < 0 || write(fd, "x", 1) != 1 || futimens(fd, times) < 0 || close(fd) < 0)
        err(1, "%s", name);
}

static void *work(void *unused)
{
    for (;;) {
        long begin = PORTION * atomic_fetch_add(&next_portion, 1);
        if (begin >= files)
            return unused;
        for (long file = begin; file < begin + PORTION && file < files; file++)
            if (is_old(file) || !refill)
                make(file);
    }
}

int main(int argc, char **argv)
{
    refill = argc > 1 && strcmp(argv[1], "--refill") == 0;
    char **arg = argv + 1 + refill;
    if (argc - 1 - refill != 4)
        errx(2, "usage: tree [--refill] many|flat DIR FILES FOLDERS");
    flat = strcmp(arg[0], "flat") == 0;
    files = atol(arg[2]);
    folders = atol(arg[3]);
    if ((!flat && strcmp(arg[0], "many") != 0) || folders < 1 || files < folders || (flat && folders != 1))
        errx(2, "no such tree");

    if (mkdir(arg[1], 0755) < 0 && !refill)
        err(1, "%s", arg[1]);
    root = open(arg[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        err(1, "%s", arg[1]);
    for (long folder = 0; !flat && !refill && folder < folders; folder++) {
        char name[32];
        snprintf(name, sizeof name, "station-%05ld", folder);
        if (mkdirat(root, name, 0755) < 0)
            err(1, "%s", name);
    }

    now = time(NULL);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            errx(1, "no thread");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}
