/* Runs a command and says what it took, one line a run:
 *
 *     timer [-n RUNS] COMMAND [ARGUMENT...]
 *     WALL-SECONDS  USER+SYSTEM-SECONDS  PEAK-RSS-KIB  EXIT-CODE
 *
 * The command's standard output is thrown away, its standard error is left as it is. Linux counts the
 * memory of the process that started a command as part of its peak: below about 1.5 MiB the peak is ours.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void run(char **command)
{
    posix_spawn_file_actions_t silent;
    posix_spawn_file_actions_init(&silent);
    posix_spawn_file_actions_addopen(&silent, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);

    pid_t child;
    double begin = clock_now();
    if (posix_spawnp(&child, command[0], &silent, NULL, command, environ) != 0)
        errx(127, "cannot run %s", command[0]);
    int status;
    struct rusage used;
    if (wait4(child, &status, 0, &used) < 0)
        err(1, "wait4");
    double wall = clock_now() - begin;

    posix_spawn_file_actions_destroy(&silent);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    printf("%.6f %.6f %ld %d\n", wall, seconds(used.ru_utime) + seconds(used.ru_stime), used.ru_maxrss, code);
}

int main(int argc, char **argv)
{
    int runs = 1, option;
    while ((option = getopt(argc, argv, "+n:")) != -1) {
        if (option != 'n')
            return 2;
        runs = atoi(optarg);
    }
    if (optind == argc || runs < 1)
        errx(2, "usage: timer [-n RUNS] COMMAND [ARGUMENT...]");
    while (runs-- > 0)
        run(argv + optind);
}
