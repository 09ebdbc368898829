/* Strict lines: the relay that was met first is the only one that is talked to. Real QUIC on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "wzp/io/line.h"
#include "wzp/io/pin_file.h"
#include "wzp/io/quic.h"
#include "wzp/io/relay_server.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"
#include "wzp/rt/rng.h"

#define WAIT_MS 10000

struct stage {
    char dir[64], path[128];
    struct wz_loop *loop;
    struct wzp_relay_server *relay;
    struct wz_addr relay_addr;
    struct wzp_quic *quic;
    struct wzp_pin_file *pins;
    struct wzp_line *line;
    struct wzp_line_call *room;
    unsigned registered, unregistered, sent, ups, ended;
    char reason[512];
};

#define wait_for(stage, condition)                                                                                     \
    do {                                                                                                               \
        const uint64_t until_us_ = wz_clock_us() + WAIT_MS * 1000u;                                                    \
        while (!(condition) && wz_clock_us() < until_us_)                                                              \
            assert_true(wz_loop_turn((stage)->loop, 5) >= 0);                                                          \
        assert_true(condition);                                                                                        \
    } while (0)

static void on_event(void *arg, struct wzp_line *line, const struct wzp_line_event *event)
{
    struct stage *s = arg;
    (void)line;
    switch (event->kind) {
    case WZP_LINE_REGISTERED:
        s->registered++;
        break;
    case WZP_LINE_UNREGISTERED:
    case WZP_LINE_ENDED:
        *(event->kind == WZP_LINE_ENDED ? &s->ended : &s->unregistered) += 1;
        (void)snprintf(s->reason, sizeof s->reason, "%s", event->reason);
        break;
    case WZP_LINE_MEDIA_UP:
        s->ups++;
        break;
    case WZP_LINE_SIGNAL:
        s->sent += event->outgoing;
        break;
    default:
        break;
    }
}

static void start_relay(struct stage *s, uint8_t seed, uint16_t port)
{
    struct wzp_relay_server_config config = { .relay = { .build = "relay-1", .rng = &wz_rng_system } };
    config.relay.seed[0] = seed;
    assert_int_equal(wz_addr_parse("127.0.0.1:1", &config.listen), 0);
    config.listen.port = port;
    assert_int_equal(wzp_relay_server_new(&s->relay, s->loop, &config), 0);
    s->relay_addr = wzp_relay_server_local(s->relay);
}

/** Another relay at the same address. */
static void exchange_relay(struct stage *s, uint8_t seed)
{
    wzp_relay_server_free(s->relay);
    start_relay(s, seed, s->relay_addr.port);
}

static void start_line(struct stage *s, bool rooms_only)
{
    const struct wzp_line_config config = {
        .seed = { 1 },
        .build = "test",
        .relay = s->relay_addr,
        .rooms_only = rooms_only,
        .strict = true,
        .pins = s->pins,
        .handlers = { .event = on_event },
        .arg = s,
        .rng = &wz_rng_system,
    };
    assert_int_equal(wzp_line_new(&s->line, s->loop, s->quic, &config), 0);
}

static void end_line(struct stage *s)
{
    wzp_line_free(s->line);
    s->line = NULL;
    s->registered = s->unregistered = s->sent = s->ups = s->ended = 0;
    s->reason[0] = '\0';
}

static void join(struct stage *s)
{
    assert_int_equal(wzp_line_join(s->line, &(struct wzp_line_room){ .name = "ops" }, NULL, &s->room), 0);
}

static int new_stage(void **state)
{
    struct stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/wzp-strict.XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof s->path, "%s/relay-pins", s->dir);
    assert_int_equal(wz_loop_new(&s->loop), 0);
    start_relay(s, 77, 0);
    struct wzp_quic_config quic = { .rng = &wz_rng_system };
    assert_int_equal(wz_addr_parse("127.0.0.1:1", &quic.bind), 0);
    quic.bind.port = 0;
    assert_int_equal(wzp_quic_new(&s->quic, s->loop, &quic), 0);
    assert_int_equal(wzp_pin_file_open(&s->pins, s->path), 0);
    *state = s;
    return 0;
}

static int end_stage(void **state)
{
    struct stage *s = *state;
    wzp_line_free(s->line);
    wzp_quic_free(s->quic);
    wzp_relay_server_free(s->relay);
    wzp_pin_file_free(s->pins);
    wz_loop_free(s->loop);
    (void)unlink(s->path); /* not every test makes it */
    assert_int_equal(rmdir(s->dir), 0);
    free(s);
    return 0;
}

/** The relay's own idea of its key and certificate, as its first client would pin them. */
static void read_pin(const struct stage *s, char cert[static 65], char key[static 65])
{
    FILE *in = fopen(s->path, "r");
    char addr[64], expect[WZ_ADDR_TEXT_MAX];
    assert_non_null(in);
    assert_int_equal(fscanf(in, "%63s %64s %64s", addr, cert, key), 3);
    assert_int_equal(fclose(in), 0);
    assert_string_equal(addr, wz_addr_format(&s->relay_addr, expect));
}

static void certificate_is_pinned_on_first_use_and_accepted_again(void **state)
{
    struct stage *s = *state;
    char cert[65], key[65];
    start_line(s, false);
    wait_for(s, s->registered);
    read_pin(s, cert, key);
    assert_int_equal(strlen(cert), 64);
    assert_string_equal(key, "-");
    end_line(s);
    exchange_relay(s, 77); /* restarted, with the same identity */
    start_line(s, false);
    wait_for(s, s->registered);
}

static void relay_whose_certificate_changed_hears_nothing_from_us(void **state)
{
    struct stage *s = *state;
    struct wzp_relay_stats stats;
    start_line(s, false);
    wait_for(s, s->registered);
    end_line(s);
    exchange_relay(s, 78);
    start_line(s, false);
    wait_for(s, s->unregistered);
    assert_int_equal(s->registered, 0);
    assert_int_equal(s->sent, 0);
    wzp_relay_server_stats(s->relay, &stats);
    assert_int_equal(stats.registered, 0);
    assert_non_null(strstr(s->reason, "the certificate of relay 127.0.0.1:"));
    assert_non_null(strstr(s->reason, "changed"));
    assert_non_null(strstr(s->reason, "remove its line from "));
    assert_non_null(strstr(s->reason, s->path));
}

static void removed_pin_lets_the_new_relay_in_at_the_next_try(void **state)
{
    struct stage *s = *state;
    start_line(s, false);
    wait_for(s, s->registered);
    end_line(s);
    exchange_relay(s, 78);
    start_line(s, false);
    wait_for(s, s->unregistered);
    assert_int_equal(unlink(s->path), 0);
    wait_for(s, s->registered);
}

static void identity_key_of_the_relay_is_pinned_by_the_media_handshake(void **state)
{
    struct stage *s = *state;
    char cert[65], key[65];
    start_line(s, true);
    join(s);
    wait_for(s, s->ups);
    read_pin(s, cert, key);
    assert_int_equal(strlen(key), 64);
    end_line(s);
    start_line(s, true);
    join(s);
    wait_for(s, s->ups);
}

/** The certificate's pin is that of the relay we meet, the key's is another one's. */
static void forge_key(const struct stage *s)
{
    char cert[65], key[65], addr[WZ_ADDR_TEXT_MAX];
    read_pin(s, cert, key);
    memset(key, 'e', 64);
    FILE *out = fopen(s->path, "w");
    assert_non_null(out);
    assert_true(fprintf(out, "%s %s %s\n", wz_addr_format(&s->relay_addr, addr), cert, key) > 0);
    assert_int_equal(fclose(out), 0);
}

static void relay_with_another_identity_key_carries_no_media(void **state)
{
    struct stage *s = *state;
    start_line(s, true);
    join(s);
    wait_for(s, s->ups);
    end_line(s);
    forge_key(s);
    wzp_pin_file_free(s->pins);
    s->pins = NULL;
    assert_int_equal(wzp_pin_file_open(&s->pins, s->path), 0);
    start_line(s, true);
    join(s);
    wait_for(s, s->ended);
    assert_int_equal(s->ups, 0);
    assert_non_null(strstr(s->reason, "identity key"));
    assert_non_null(strstr(s->reason, s->path));
}

static void changed_certificate_ends_a_room_with_the_reason(void **state)
{
    struct stage *s = *state;
    start_line(s, true);
    join(s);
    wait_for(s, s->ups);
    end_line(s);
    exchange_relay(s, 78);
    start_line(s, true);
    join(s);
    wait_for(s, s->ended);
    assert_int_equal(s->ups, 0);
    assert_non_null(strstr(s->reason, "the certificate of relay"));
    assert_non_null(strstr(s->reason, s->path));
}

static void without_a_file_the_line_remembers_its_relay_itself(void **state)
{
    struct stage *s = *state;
    struct wzp_pin_file *none = s->pins;
    s->pins = NULL;
    start_line(s, false);
    s->pins = none;
    wait_for(s, s->registered);
    exchange_relay(s, 78);
    wait_for(s, strstr(s->reason, "the certificate of relay"));
    assert_int_equal(s->registered, 1);
}

int main(void)
{
    wz_log_init(2, WZ_LOG_TEXT, WZ_LOG_ERROR);
#define STORY(name) cmocka_unit_test_setup_teardown(name, new_stage, end_stage)
    const struct CMUnitTest tests[] = {
        STORY(certificate_is_pinned_on_first_use_and_accepted_again),
        STORY(relay_whose_certificate_changed_hears_nothing_from_us),
        STORY(removed_pin_lets_the_new_relay_in_at_the_next_try),
        STORY(identity_key_of_the_relay_is_pinned_by_the_media_handshake),
        STORY(relay_with_another_identity_key_carries_no_media),
        STORY(changed_certificate_ends_a_room_with_the_reason),
        STORY(without_a_file_the_line_remembers_its_relay_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
