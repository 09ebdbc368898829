/* Connections a relay can accept per second of CPU: clients dial with the name "ping", which the relay answers by closing
 * at once, a constant number at a time. Against the server's part of a bare TLS 1.3 handshake with the same library,
 * certificate and cipher in this process, and against another relay with --peer. */
#include <gnutls/gnutls.h>

#include "tests/support/bench_crowd.h"
#include "wzp/core/identity.h"
#include "wzp/rt/log.h"

#define AT_ONCE          32u
#define WARM_UP_MS       500u
#define MEASURE_MS       4000u
#define QUICK_MEASURE_MS 300u
#define BARE             1000u
#define QUICK_BARE       50u
#define PRIORITY         "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:-GROUP-ALL:+GROUP-X25519"

/* ---- a bare TLS handshake in memory ---- */

struct pipe_end {
    uint8_t data[32768]; /* what this end has to read */
    size_t len;
    struct pipe_end *other;
    gnutls_session_t session;
};

static ssize_t pipe_push(gnutls_transport_ptr_t ptr, const void *data, size_t len)
{
    struct pipe_end *to = ((struct pipe_end *)ptr)->other;
    if (len > sizeof to->data - to->len)
        bench_die("bare TLS: pipe", ENOBUFS);
    memcpy(to->data + to->len, data, len);
    to->len += len;
    return (ssize_t)len;
}

static ssize_t pipe_pull(gnutls_transport_ptr_t ptr, void *data, size_t len)
{
    struct pipe_end *end = ptr;
    const size_t n = len < end->len ? len : end->len;
    if (n == 0) {
        gnutls_transport_set_errno(end->session, EAGAIN);
        return -1;
    }
    memcpy(data, end->data, n);
    end->len -= n;
    memmove(end->data, end->data + n, end->len);
    return (ssize_t)n;
}

static int pipe_wait(gnutls_transport_ptr_t ptr, unsigned ms)
{
    (void)ms;
    return ((struct pipe_end *)ptr)->len > 0;
}

static void pipe_open(struct pipe_end *end, struct pipe_end *other, unsigned flags,
                      gnutls_certificate_credentials_t credentials)
{
    *end = (struct pipe_end){ .other = other };
    if (gnutls_init(&end->session, flags | GNUTLS_NONBLOCK) != 0 ||
        gnutls_priority_set_direct(end->session, PRIORITY, NULL) != 0 ||
        gnutls_credentials_set(end->session, GNUTLS_CRD_CERTIFICATE, credentials) != 0)
        bench_die("bare TLS: session", ENOMEM);
    gnutls_transport_set_ptr(end->session, end);
    gnutls_transport_set_push_function(end->session, pipe_push);
    gnutls_transport_set_pull_function(end->session, pipe_pull);
    gnutls_transport_set_pull_timeout_function(end->session, pipe_wait);
}

static bool advance(struct pipe_end *end, bool *done)
{
    const int n = *done ? 0 : gnutls_handshake(end->session);
    if (n != 0 && gnutls_error_is_fatal(n))
        bench_die("bare TLS: handshake", EPROTO);
    *done = n == 0;
    return *done;
}

static gnutls_certificate_credentials_t server_credentials(void)
{
    const uint8_t seed[WZP_SEED_BYTES] = { 1 };
    gnutls_certificate_credentials_t credentials;
    uint8_t *cert, *key;
    size_t cert_len, key_len;
    if (wzp_relay_certificate(seed, &cert, &cert_len, &key, &key_len) != 0)
        bench_die("certificate", ENOMEM);
    const gnutls_datum_t cert_datum = { cert, (unsigned)cert_len }, key_datum = { key, (unsigned)key_len };
    if (gnutls_certificate_allocate_credentials(&credentials) != 0 ||
        gnutls_certificate_set_x509_key_mem(credentials, &cert_datum, &key_datum, GNUTLS_X509_FMT_DER) != 0)
        bench_die("certificate", EINVAL);
    free(cert);
    free(key);
    return credentials;
}

/** CPU microseconds of the server's part of one handshake. */
static double bare_us(unsigned count)
{
    static struct pipe_end server, client;
    gnutls_certificate_credentials_t credentials = server_credentials(), nobody;
    uint64_t used_us = 0;
    if (gnutls_certificate_allocate_credentials(&nobody) != 0)
        bench_die("credentials", ENOMEM);
    for (unsigned i = 0; i < count; i++) {
        bool server_done = false, client_done = false;
        pipe_open(&client, &server, GNUTLS_CLIENT, nobody);
        uint64_t began_us = wz_cpu_thread_us();
        pipe_open(&server, &client, GNUTLS_SERVER, credentials);
        used_us += wz_cpu_thread_us() - began_us;
        while (!server_done || !client_done) {
            (void)advance(&client, &client_done);
            began_us = wz_cpu_thread_us();
            (void)advance(&server, &server_done);
            used_us += wz_cpu_thread_us() - began_us;
        }
        gnutls_deinit(client.session);
        began_us = wz_cpu_thread_us();
        gnutls_deinit(server.session);
        used_us += wz_cpu_thread_us() - began_us;
    }
    gnutls_certificate_free_credentials(credentials);
    gnutls_certificate_free_credentials(nobody);
    return (double)used_us / count;
}

/* ---- a relay ---- */

/** CPU microseconds per accepted connection. */
static double relay_us(const char *program, bool is_ours, bool quick)
{
    struct bench_process relay;
    struct bench_crowd crowd;
    bench_relay_start(&relay, program, is_ours);
    bench_crowd_start(&crowd, &relay, "ping", AT_ONCE, true);
    bench_crowd_turn(&crowd, quick ? 50 : WARM_UP_MS);
    const uint64_t cpu_us = bench_cpu_us(&relay), connected = crowd.connected;
    bench_crowd_turn(&crowd, quick ? QUICK_MEASURE_MS : MEASURE_MS);
    const uint64_t accepted = crowd.connected - connected;
    const double us = accepted ? (double)(bench_cpu_us(&relay) - cpu_us) / (double)accepted : 0;
    if (accepted == 0)
        bench_die("nobody got through", ETIMEDOUT);
    bench_crowd_stop(&crowd);
    bench_process_stop(&relay);
    return us;
}

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options(argc, argv, &options);
    wz_log_init(STDERR_FILENO, WZ_LOG_TEXT, WZ_LOG_ERROR);
    const double floor_us = bare_us(options.quick ? QUICK_BARE : BARE);
    const double ours_us = relay_us(options.relay, true, options.quick);
    printf("handshake.accepted %.0f per_cpu_second %.2f against the CPU of a bare TLS 1.3 handshake (%.0f us)\n",
           1e6 / ours_us, ours_us / floor_us, floor_us);
    if (options.peer) {
        const double peer_us = relay_us(options.peer, false, options.quick);
        printf("handshake.accepted.peer %.0f per_cpu_second %.2f against the peer's %.0f\n", 1e6 / ours_us,
               peer_us / ours_us, 1e6 / peer_us);
    }
    return EXIT_SUCCESS;
}
