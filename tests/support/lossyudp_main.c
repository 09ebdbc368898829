/* lossyudp: the bad network of lossy_udp.h as a program, for tests of real binaries.
 *   lossyudp --listen 127.0.0.1:0 --target 127.0.0.1:4433 [--loss %] [--duplicate %] [--reorder %]
 *            [--delay ms] [--jitter ms] [--seed n]
 * Prints "listening ADDRESS" when ready, and its counters at SIGINT or SIGTERM. Percentages may have one decimal. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/lossy_udp.h"
#include "wzp/rt/loop.h"

struct options {
    struct wz_addr listen, target;
    struct lossy_udp_shape shape;
    uint64_t seed;
};

static int usage(void)
{
    (void)fprintf(stderr, "usage: lossyudp --listen ADDR:PORT --target ADDR:PORT [--loss %%] [--duplicate %%] "
                          "[--reorder %%] [--delay MS] [--jitter MS] [--seed N]\n");
    return 2;
}

/** A number from 0 to max in units of 1/scale. */
static int parse_scaled(const char *text, double scale, double max, unsigned *ret)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= 0) || value > max)
        return -1;
    *ret = (unsigned)(value * scale + 0.5);
    return 0;
}

static int parse_seed(const char *text, uint64_t *ret)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 0);

    if (end == text || *end)
        return -1;
    *ret = value;
    return 0;
}

static int parse_option(int c, const char *arg, struct options *o)
{
    switch (c) {
    case 'l':
        return wz_addr_parse(arg, &o->listen);
    case 't':
        return wz_addr_parse(arg, &o->target);
    case 'L':
        return parse_scaled(arg, 10, 100, &o->shape.loss);
    case 'd':
        return parse_scaled(arg, 10, 100, &o->shape.duplicate);
    case 'r':
        return parse_scaled(arg, 10, 100, &o->shape.reorder);
    case 'D':
        return parse_scaled(arg, 1, 60000, &o->shape.delay_ms);
    case 'j':
        return parse_scaled(arg, 1, 60000, &o->shape.jitter_ms);
    case 's':
        return parse_seed(arg, &o->seed);
    default:
        return -1;
    }
}

static int parse_options(int argc, char **argv, struct options *o)
{
    static const struct option table[] = {
        { "listen", required_argument, NULL, 'l' },
        { "target", required_argument, NULL, 't' },
        { "loss", required_argument, NULL, 'L' },
        { "duplicate", required_argument, NULL, 'd' },
        { "reorder", required_argument, NULL, 'r' },
        { "delay", required_argument, NULL, 'D' },
        { "jitter", required_argument, NULL, 'j' },
        { "seed", required_argument, NULL, 's' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1)
        if (parse_option(c, optarg, o) < 0)
            return -1;
    return optind == argc && o->listen.family && o->target.family ? 0 : -1;
}

static void on_signal(void *arg, int signo)
{
    (void)signo;
    wz_loop_stop(arg);
}

static void print_stats(const struct lossy_udp_stats *stats)
{
    (void)printf("received=%llu forwarded=%llu lost=%llu duplicated=%llu reordered=%llu overflowed=%llu\n",
                 (unsigned long long)stats->received, (unsigned long long)stats->forwarded,
                 (unsigned long long)stats->lost, (unsigned long long)stats->duplicated,
                 (unsigned long long)stats->reordered, (unsigned long long)stats->overflowed);
}

int main(int argc, char **argv)
{
    struct options options = { .seed = 1 };
    struct wz_signal_watch term = { 0 }, intr = { 0 };
    struct lossy_udp *lossy = NULL;
    struct wz_loop *loop = NULL;
    char text[WZ_ADDR_TEXT_MAX];
    struct wz_addr local;
    sigset_t set;
    int err;

    if (parse_options(argc, argv, &options) < 0)
        return usage();
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    err = wz_loop_new(&loop);
    if (!err)
        err = wz_signal_watch_init(&term, loop, SIGTERM, on_signal, loop);
    if (!err)
        err = wz_signal_watch_init(&intr, loop, SIGINT, on_signal, loop);
    if (!err)
        err = lossy_udp_new(&lossy, loop, &options.listen, &options.target, options.seed);
    if (!err) {
        lossy_udp_shape(lossy, &options.shape);
        local = lossy_udp_local(lossy);
        (void)printf("listening %s\n", wz_addr_format(&local, text));
        (void)fflush(stdout);
        err = wz_loop_run(loop);
        print_stats(lossy_udp_stats(lossy));
    }
    if (err)
        (void)fprintf(stderr, "lossyudp: error %d\n", -err);
    lossy_udp_free(lossy);
    wz_signal_watch_done(&term);
    wz_signal_watch_done(&intr);
    wz_loop_free(loop);
    return err ? 1 : 0;
}
