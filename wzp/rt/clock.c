/* See clock.h. */
#include "wzp/rt/clock.h"

#include <time.h>

static uint64_t read_us(clockid_t id)
{
    struct timespec ts = { 0 };

    (void)clock_gettime(id, &ts); /* cannot fail for the four clocks below */
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t wz_clock_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t wz_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

uint64_t wz_cpu_thread_us(void)
{
    return read_us(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t wz_cpu_process_us(void)
{
    return read_us(CLOCK_PROCESS_CPUTIME_ID);
}
