/* What 10,000 registered clients that do nothing cost a relay process: memory, and CPU for their keep-alives (a PING each
 * five seconds and its acknowledgement). The clients live in this process and are not counted. */
#include "tests/support/bench_crowd.h"
#include "wzp/rt/log.h"

#define CLIENTS          10000u
#define QUICK_CLIENTS    100u
#define REGISTER_MS      180000u
#define SETTLE_MS        6000u
#define MEASURE_MS       20000u
#define QUICK_SETTLE_MS  200u
#define QUICK_MEASURE_MS 1000u
/** Figures to stay below. */
#define TARGET_KB      80.0
#define TARGET_PERCENT 10.0

struct idle_cost {
    double kb, percent;
};

static struct idle_cost measure(const char *program, bool is_ours, bool quick)
{
    const unsigned clients = quick ? QUICK_CLIENTS : CLIENTS;
    struct bench_process relay;
    struct bench_crowd crowd;
    struct idle_cost cost = { 0 };
    bench_relay_start(&relay, program, is_ours);
    const uint64_t before_kb = bench_rss_kb(&relay);
    bench_crowd_start(&crowd, &relay, "_signal", clients, false);
    bench_crowd_wait(&crowd, REGISTER_MS);
    bench_crowd_turn(&crowd, quick ? QUICK_SETTLE_MS : SETTLE_MS);
    const uint64_t cpu_us = bench_cpu_us(&relay), began_us = wz_clock_us();
    bench_crowd_turn(&crowd, quick ? QUICK_MEASURE_MS : MEASURE_MS);
    cost.percent = 100.0 * (double)(bench_cpu_us(&relay) - cpu_us) / (double)(wz_clock_us() - began_us);
    cost.kb = ((double)bench_rss_kb(&relay) - (double)before_kb) / clients;
    if (crowd.lost > 0)
        fprintf(stderr, "bench_idle: %llu clients lost their connection\n", (unsigned long long)crowd.lost);
    bench_process_stop(&relay);
    bench_crowd_stop(&crowd);
    return cost;
}

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options(argc, argv, &options);
    wz_log_init(STDERR_FILENO, WZ_LOG_TEXT, WZ_LOG_ERROR);
    bench_raise_fd_limit();
    const struct idle_cost ours = measure(options.relay, true, options.quick);
    const unsigned clients = options.quick ? QUICK_CLIENTS : CLIENTS;
    printf("idle.memory_of_%u %.1f kB_per_client %.2f against %.0f kB\n", clients, ours.kb, ours.kb / TARGET_KB,
           TARGET_KB);
    printf("idle.cpu_of_%u %.2f percent_of_a_core %.2f against %.0f percent\n", clients, ours.percent,
           ours.percent / TARGET_PERCENT, TARGET_PERCENT);
    if (options.peer) {
        const struct idle_cost peer = measure(options.peer, false, options.quick);
        printf("idle.memory_of_%u.peer %.1f kB_per_client %.2f against the peer's %.1f kB\n", clients, ours.kb,
               ours.kb / peer.kb, peer.kb);
        printf("idle.cpu_of_%u.peer %.2f percent_of_a_core %.2f against the peer's %.2f percent\n", clients,
               ours.percent, ours.percent / peer.percent, peer.percent);
    }
    return EXIT_SUCCESS;
}
