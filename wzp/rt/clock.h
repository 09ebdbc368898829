/* The system's clocks. Cores never call these: they are given now_us. */
#ifndef WZP_RT_CLOCK_H
#define WZP_RT_CLOCK_H

#include <stdint.h>

/** Monotonic microseconds. Thread: any. */
uint64_t wz_clock_us(void);
/** Wall clock, microseconds since 1970. Thread: any. */
uint64_t wz_wall_us(void);
/** CPU time used by this thread / process, microseconds. */
uint64_t wz_cpu_thread_us(void);
uint64_t wz_cpu_process_us(void);

#endif
