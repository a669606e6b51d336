/*
 * stepped_clock.so - a wall clock that a test sets, for any program: LD_PRELOAD=stepped_clock.so
 * CHW_CLOCK_FILE=FILE PROGRAM.
 *
 * FILE holds two numbers of seconds, 8 bytes each in the machine's order. The first is added to the
 * time of day: writing another one steps the clock of all processes that have it open, at once. The
 * second, when it is there, is added to the boot time: so much longer they were suspended. The
 * clocks that nobody can set and that stand still meanwhile (monotonic, processor time) stay as
 * they are. Calls go to the kernel, not to the next library, so that it does not matter who else
 * intercepts them.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const struct {
    int64_t wall_s, suspended_s;
} * offset;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("CHW_CLOCK_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (map != MAP_FAILED)
        offset = map;
    if (fd >= 0)
        close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int r = (int)syscall(SYS_clock_gettime, clock, ret_time);

    if (r == 0 && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ret_time->tv_sec += offset->wall_s;
    if (r == 0 && offset && clock == CLOCK_BOOTTIME)
        ret_time->tv_sec += offset->suspended_s;
    return r;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    ret_time->tv_sec = now.tv_sec;
    ret_time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *ret_time)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}
