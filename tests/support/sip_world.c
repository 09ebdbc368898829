#include "tests/support/sip_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "wzp/rt/clock.h"
#include "wzp/rt/rng.h"

#define WAIT_US  (UINT64_C(5) * 1000000)
#define CLOSE_US (UINT64_C(40) * 1000000)
#define REALM    "test realm"

const char *const sip_world_sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                                  "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

const char *sip_world_password(const char *user)
{
    if (strcmp(user, "alice") == 0)
        return "secret";
    if (strcmp(user, "bob") == 0)
        return "hidden";
    return strcmp(user, "carol") == 0 ? "open" : NULL;
}

static int credentials(void *arg, const char *user, struct sipua_credentials *ret)
{
    const char *password = sip_world_password(user);
    (void)arg;
    if (!password)
        return -ENOENT;
    sipua_auth_ha1(SIPUA_AUTH_MD5, user, REALM, password, ret->ha1_md5);
    sipua_auth_ha1(SIPUA_AUTH_SHA256, user, REALM, password, ret->ha1_sha256);
    ret->policy = *user == 'a' ? SIPUA_POLICY_MD5 : *user == 'b' ? SIPUA_POLICY_SHA256 : SIPUA_POLICY_BOTH;
    return 0;
}

static void registered(void *arg, const struct sipua_binding *binding)
{
    struct sip_world *world = arg;
    (void)binding;
    world->registered++;
}

static void unregistered(void *arg, const struct sipua_binding *binding, enum sipua_unbind_reason reason)
{
    struct sip_world *world = arg;
    (void)binding;
    (void)reason;
    world->unregistered++;
}

static void incoming(void *arg, struct sipua_call *call, const struct sipua_incoming *in)
{
    struct sip_world *world = arg;
    world->call = call;
    world->incoming_count++;
    snprintf(world->from_user, sizeof world->from_user, "%s", in->from_user);
    snprintf(world->from_display, sizeof world->from_display, "%s", in->from_display);
    snprintf(world->to_user, sizeof world->to_user, "%s", in->to_user);
    snprintf(world->offer, sizeof world->offer, "%s", in->sdp ? in->sdp : "");
    world->has_offer = in->sdp != NULL;
    world->transport = in->transport;
    world->source = in->source;
}

static void event(void *arg, struct sipua_call *call, const struct sipua_event *from)
{
    struct sip_world *world = arg;
    const bool is_trace = from->kind == SIPUA_EV_TRACE;
    size_t *count = is_trace ? &world->trace_count : &world->event_count;
    (void)call;
    if (*count == SIP_WORLD_EVENTS_MAX)
        return;
    struct sip_world_event *to = is_trace ? &world->trace[*count] : &world->event[*count];
    ++*count;
    *to = (struct sip_world_event){ .kind = from->kind,
                                    .status = from->status,
                                    .q850 = from->q850,
                                    .by_peer = from->by_peer,
                                    .digit = from->digit,
                                    .duration_ms = from->duration_ms,
                                    .has_sdp = from->sdp != NULL };
    snprintf(to->sdp, sizeof to->sdp, "%s", from->sdp ? from->sdp : "");
    snprintf(to->text, sizeof to->text, "%s", from->text);
    if (is_trace) {
        snprintf(to->summary, sizeof to->summary, "%s", from->trace->summary);
        snprintf(to->text, sizeof to->text, "%s", from->trace->raw ? from->trace->raw : "");
        to->outgoing = from->trace->outgoing;
    }
}

struct sipua_config sip_world_config(void)
{
    struct sipua_config config = {
        .udp = true,
        .tcp = true,
        .realm = REALM,
        .user_agent = "sip-test",
        .limits = { .max_calls = 100, .max_registrations = 1000, .retry_after_s = 7 },
        .min_expires_s = 60,
        .max_expires_s = 3600,
        .session_expires_s = 1800,
        .rng = &wz_rng_system,
    };
    (void)wz_addr_parse("127.0.0.1:0", &config.listen);
    return config;
}

void sip_world_open(struct sip_world *world, const struct sipua_config *config, bool tcp)
{
    memset(world, 0, sizeof *world);
    world->context = g_main_context_new();
    const struct sipua_handlers handlers = { credentials, registered, unregistered, incoming, event };
    const int err = sipua_new(&world->ua, world->context, config, &handlers, world);
    if (err < 0) {
        fprintf(stderr, "sipua_new: %s\n", strerror(-err));
        abort();
    }
    struct wz_addr server = sipua_local(world->ua);
    sip_peer_open(&world->peer, &server, tcp, sip_world_pump, world);
}

static void down(void *arg)
{
    ((struct sip_world *)arg)->down = true;
}

void sip_world_close(struct sip_world *world)
{
    const uint64_t until_us = wz_clock_us() + CLOSE_US;
    sipua_call_release(world->call);
    sip_peer_close(&world->peer);
    sipua_shutdown(world->ua, down, world);
    while (!world->down && wz_clock_us() < until_us)
        g_main_context_iteration(world->context, TRUE);
    if (!world->down)
        abort();
    sipua_free(world->ua);
    g_main_context_unref(world->context);
}

void sip_world_pump(void *arg)
{
    struct sip_world *world = arg;
    while (g_main_context_iteration(world->context, FALSE))
        ;
}

bool sip_world_wait_events(struct sip_world *world, size_t count)
{
    const uint64_t until_us = wz_clock_us() + WAIT_US;
    while (world->event_count < count && wz_clock_us() < until_us)
        g_main_context_iteration(world->context, TRUE); /* a 1 s timer of sofia's bounds the wait */
    return world->event_count >= count;
}

bool sip_world_wait_unregistered(struct sip_world *world, unsigned count, unsigned timeout_ms)
{
    const uint64_t until_us = wz_clock_us() + timeout_ms * UINT64_C(1000);
    while (world->unregistered < count && wz_clock_us() < until_us) {
        sip_world_pump(world);
        g_usleep(1000);
    }
    return world->unregistered >= count;
}

const struct sip_world_event *sip_world_last(const struct sip_world *world)
{
    static const struct sip_world_event none = { .kind = (enum sipua_event_kind) - 1 };
    return world->event_count ? &world->event[world->event_count - 1] : &none;
}

bool sip_world_register(struct sip_world *world, const char *user, const char *password, int expires,
                        struct sip_peer_message *ret)
{
    char challenge[1024], headers[2048] = "", auth[1024], line[64] = "", call_id[64];
    struct sip_peer_request request = { .method = "REGISTER", .user = user, .call_id = call_id, .headers = headers };
    snprintf(call_id, sizeof call_id, "reg-%s", user); /* one per phone; the CSeq grows */
    if (expires >= 0)
        snprintf(line, sizeof line, "Expires: %d\r\n", expires);
    request.cseq = (unsigned)(world->registered + world->unregistered) * 2 + 1;
    sip_peer_send(&world->peer, &request);
    if (!sip_peer_expect(&world->peer, 401, ret) ||
        !sip_peer_header(ret, "WWW-Authenticate", 0, challenge, sizeof challenge))
        return false;
    sip_peer_digest("Authorization", challenge, user, password, "REGISTER", "sip:test", 1, auth, sizeof auth);
    snprintf(headers, sizeof headers, "%s%s", auth, line);
    request.cseq++;
    sip_peer_send(&world->peer, &request);
    do {
        if (!sip_peer_receive(&world->peer, ret, 5000))
            return false;
    } while (ret->status == 100);
    return ret->status == 200;
}

bool sip_world_invite(struct sip_world *world, const char *user, const char *password, const char *dialled,
                      const char *call_id, const char *sdp)
{
    char challenge[1024], headers[1024], uri[256], server[WZ_ADDR_TEXT_MAX], to_tag[128];
    static struct sip_peer_message message;
    const unsigned before = world->incoming_count;
    snprintf(uri, sizeof uri, "sip:%s@%s", dialled, wz_addr_format(&world->peer.server, server));
    struct sip_peer_request request = {
        .method = "INVITE", .uri = uri, .user = user, .to_user = "someone", .call_id = call_id, .cseq = 1, .body = sdp
    };
    sip_peer_send(&world->peer, &request);
    if (!sip_peer_expect(&world->peer, 407, &message) ||
        !sip_peer_header(&message, "Proxy-Authenticate", 0, challenge, sizeof challenge) ||
        !sip_peer_to_tag(&message, to_tag, sizeof to_tag))
        return false;
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = "ACK",
                                                            .uri = uri,
                                                            .user = user,
                                                            .to_user = "someone",
                                                            .call_id = call_id,
                                                            .cseq = 1,
                                                            .to_tag = to_tag,
                                                            .branch = world->peer.branch,
                                                            .no_contact = true });
    sip_peer_digest("Proxy-Authorization", challenge, user, password, "INVITE", uri, 1, headers, sizeof headers);
    request.headers = headers;
    request.cseq = 2;
    sip_peer_send(&world->peer, &request);
    if (!sip_peer_receive(&world->peer, &message, 5000) || message.status != 100)
        return false;
    return world->incoming_count == before + 1;
}

void sip_world_in_dialog(struct sip_world *world, const char *method, const char *call_id, const char *to_tag,
                         unsigned cseq, const char *headers, const char *body)
{
    sip_peer_send(&world->peer, &(struct sip_peer_request){ .method = method,
                                                            .user = "alice",
                                                            .to_user = "someone",
                                                            .call_id = call_id,
                                                            .cseq = cseq,
                                                            .to_tag = to_tag,
                                                            .headers = headers,
                                                            .body = body });
}

bool sip_world_answered_call(struct sip_world *world, const char *call_id, const char *sdp, char *to_tag)
{
    struct sip_peer_message message;
    if (!sip_world_invite(world, "alice", "secret", "*43", call_id, sip_world_sdp) ||
        sipua_call_answer(world->call, sdp) < 0 || !sip_peer_expect(&world->peer, 200, &message) ||
        !sip_peer_to_tag(&message, to_tag, SIP_WORLD_TAG_MAX))
        return false;
    sip_world_in_dialog(world, "ACK", call_id, to_tag, 2, NULL, NULL);
    return sip_world_wait_events(world, 1) && sip_world_last(world)->kind == SIPUA_EV_ACKED;
}

int sip_world_setup(void **state, bool tcp, void (*change)(struct sipua_config *config))
{
    struct sip_world *world = calloc(1, sizeof *world);
    struct sipua_config config = sip_world_config();
    if (!world)
        return -1;
    if (change)
        change(&config);
    sip_world_open(world, &config, tcp);
    *state = world;
    return 0;
}

int sip_world_setup_udp(void **state)
{
    return sip_world_setup(state, false, NULL);
}

int sip_world_setup_tcp(void **state)
{
    return sip_world_setup(state, true, NULL);
}

int sip_world_teardown(void **state)
{
    sip_world_close(*state);
    free(*state);
    return 0;
}
