/* Resident memory of a relay process per idle registered connection, and what it costs another relay with --peer.
 * The clients live in this process; what the relay holds before the first of them is subtracted. */
#include "tests/support/bench_crowd.h"
#include "wzp/rt/log.h"

#define CLIENTS       2000u
#define QUICK_CLIENTS 50u
#define REGISTER_MS   60000u
/** What a handshake needed is gone after this. */
#define SETTLE_MS 2000u
/** DESIGN figure: of one relay connection. */
#define TARGET_KB 80.0

static double kb_per_client(const char *program, bool is_ours, bool quick)
{
    const unsigned clients = quick ? QUICK_CLIENTS : CLIENTS;
    struct bench_process relay;
    struct bench_crowd crowd;
    bench_relay_start(&relay, program, is_ours);
    const uint64_t before_kb = bench_rss_kb(&relay);
    bench_crowd_start(&crowd, &relay, "_signal", clients, false);
    bench_crowd_wait(&crowd, REGISTER_MS);
    bench_crowd_turn(&crowd, quick ? 100 : SETTLE_MS);
    const uint64_t after_kb = bench_rss_kb(&relay);
    bench_process_stop(&relay);
    bench_crowd_stop(&crowd);
    return after_kb > before_kb ? (double)(after_kb - before_kb) / clients : 0;
}

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options(argc, argv, &options);
    wz_log_init(STDERR_FILENO, WZ_LOG_TEXT, WZ_LOG_ERROR);
    bench_raise_fd_limit();
    const double ours = kb_per_client(options.relay, true, options.quick);
    printf("memory.relay_connection %.1f kB %.2f against %.0f kB\n", ours, ours / TARGET_KB, TARGET_KB);
    if (options.peer) {
        const double peer = kb_per_client(options.peer, false, options.quick);
        printf("memory.relay_connection.peer %.1f kB %.2f against the peer's %.1f kB\n", ours, ours / peer, peer);
    }
    return EXIT_SUCCESS;
}
