/* Makes the tree that the contenders prune:
 *
 *     tree [--refill] many|flat|hashed|named|pairs DIR FILES FOLDERS NOW
 *
 * FILES files of one byte lie in DIR itself (flat, where FOLDERS is 1) or spread over so many folders in
 * it. NOW, in seconds since 1970, is the moment their times count from, so that a refilled tree has the
 * same ones.
 *
 *     many, flat  every other file is 10 days old, the rest is one hour old
 *     hashed      between an hour and 30 days old, whatever the folder and the place in it
 *     named       all an hour old; the names begin with their times, none before yesterday
 *     pairs       a JSON for every other file, an image; of each tenth the image has not come to its end
 *
 * --refill makes only what a contender may have removed. Two threads do the work, in portions.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 2, PORTION = 1000, HOUR = 3600, DAY = 24 * HOUR };
static const time_t FIRST_PICTURE = 1795230245; /* 2026-11-21 03:04:05 UTC */

enum shape { MANY, FLAT, HASHED, NAMED, PAIRS };
static const char *const SHAPES[] = {"many", "flat", "hashed", "named", "pairs"};

static bool refill;
static enum shape shape;
static long files, folders;
static int root;
static time_t now;
static atomic_long next_portion;

/* Whether no contender removes it. */
static bool stays(long file)
{
    if (shape == PAIRS)
        return file % 2 == 0 || file / 2 % 10 != 0;
    return shape == NAMED || (shape != HASHED && file % 2 == 1);
}

/* A number that has nothing to do with the file's own: SplitMix64. */
static uint64_t hash(long file)
{
    uint64_t x = ((uint64_t)file + 1) * 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

static struct timespec time_of(long file)
{
    if (shape == HASHED) {
        /* To the microsecond, so that hardly two are equal and a double can still tell them apart. */
        uint64_t age = hash(file) % (uint64_t)((30 * DAY - HOUR) * 1000000L);
        time_t seconds = (time_t)(age / 1000000);
        return (struct timespec){.tv_sec = now - HOUR - seconds, .tv_nsec = (long)(age % 1000000) * 1000};
    }
    return (struct timespec){.tv_sec = now - (stays(file) ? HOUR : 10 * DAY)};
}

/* The name below the root, as an image station would give it: a picture every two seconds, or as many as
 * there must be in a day. */
static void name_of(long file, char *name, size_t size)
{
    char when[32];
    struct tm parts;
    long picture = shape == PAIRS ? file / 2 : file;
    const char *image = file / 2 % 10 == 0 ? "jpg.part" : "jpg";
    const char *end = shape != PAIRS ? "jpg" : file % 2 == 1 ? "json" : image;
    time_t taken = shape == NAMED ? now - DAY + file * (DAY - HOUR) / files : FIRST_PICTURE + 2 * picture;
    gmtime_r(&taken, &parts);
    strftime(when, sizeof when, shape == NAMED ? "%Y%m%d_%H%M%S" : "%Y%m%d-%H%M%S", &parts);
    if (shape == FLAT)
        snprintf(name, size, "cam_%s_%07ld.jpg", when, file);
    else if (shape == NAMED)
        snprintf(name, size, "station-%05ld/%s_%07ld.jpg", file * folders / files, when, file);
    else
        snprintf(name, size, "station-%05ld/cam_%s_%07ld.%s", (shape == PAIRS ? file / 2 * 2 : file) * folders / files, when,
                 picture, end);
}

static void make(long file)
{
    char name[80];
    name_of(file, name, sizeof name);
    int fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST && refill)
        return;
    struct timespec times[2] = {time_of(file), time_of(file)};
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
            if (!refill || !stays(file))
                make(file);
    }
}

int main(int argc, char **argv)
{
    refill = argc > 1 && strcmp(argv[1], "--refill") == 0;
    char **arg = argv + 1 + refill;
    if (argc - 1 - refill != 5)
        errx(2, "usage: tree [--refill] many|flat|hashed|named|pairs DIR FILES FOLDERS NOW");
    while (shape <= PAIRS && strcmp(arg[0], SHAPES[shape]) != 0)
        shape++;
    files = atol(arg[2]);
    folders = atol(arg[3]);
    now = atol(arg[4]);
    if (shape > PAIRS || folders < 1 || files < folders || (shape == FLAT && folders != 1))
        errx(2, "no such tree");

    if (mkdir(arg[1], 0755) < 0 && !refill)
        err(1, "%s", arg[1]);
    root = open(arg[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        err(1, "%s", arg[1]);
    for (long folder = 0; shape != FLAT && folder < folders; folder++) {
        char name[32];
        snprintf(name, sizeof name, "station-%05ld", folder);
        if (mkdirat(root, name, 0755) < 0 && !(refill && errno == EEXIST))
            err(1, "%s", name);
    }

    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            errx(1, "no thread");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}
