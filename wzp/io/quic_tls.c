/* See quic_tls.h.
 *
 * The SNI repair: GnuTLS shows a ClientHello to our hook before it parses it; then it copies the message into the
 * transcript, and then parses extensions in passes, VERSION_NEG before the pass that checks the server name. Our
 * transport parameter extension is registered for the VERSION_NEG pass, so its receive function runs after the
 * transcript copy and before the check. There we keep the raw name and overwrite each underscore with '-' in the
 * parse buffer only: transcript and wire stay as they are. */
#include "wzp/io/quic_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdlib.h>

/** TLS 1.3 only; AES-128-GCM first, and the server decides (AES-256 and ChaCha20 cost more CPU per datagram). */
#define PRIORITY                                                                                                       \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"                          \
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE:"                           \
    "%SERVER_PRECEDENCE"
#define ALPN                "wzp"
#define TLS_EXT_SERVER_NAME 0
#define TLS_NAME_HOST       0
/** Encoded transport parameters of ours take about 120 bytes. */
#define PARAMS_BYTES_MAX 512

/* Validity of throw-away certificates, as the reference's: 1975-01-01 .. 4096-01-01. */
#define CERT_NOT_BEFORE INT64_C(157766400)
#define CERT_NOT_AFTER  INT64_C(67090118400)

/* ---- credentials ---- */

static int fill_certificate(gnutls_x509_crt_t cert, gnutls_x509_privkey_t key)
{
    static const char name[] = "rcgen self signed cert";
    uint8_t serial[20];
    int err = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);

    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x01); /* positive, and no leading zero octet */
    if (!err)
        err = gnutls_x509_crt_set_version(cert, 3);
    if (!err)
        err = gnutls_x509_crt_set_serial(cert, serial, sizeof serial);
    if (!err)
        err = gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name, sizeof name - 1);
    if (!err)
        err = gnutls_x509_crt_set_activation_time(cert, (time_t)CERT_NOT_BEFORE);
    if (!err)
        err = gnutls_x509_crt_set_expiration_time(cert, (time_t)CERT_NOT_AFTER);
    if (!err)
        err = gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, "localhost", 9, GNUTLS_FSAN_SET);
    if (!err)
        err = gnutls_x509_crt_set_key(cert, key);
    if (!err)
        err = gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0);
    return err;
}

/** A self-signed P-256 certificate that lives as long as the endpoint. Returns a GnuTLS error. */
static int make_certificate(gnutls_certificate_credentials_t cred)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t cert = NULL;
    int err = gnutls_x509_privkey_init(&key);

    if (!err)
        err = gnutls_x509_crt_init(&cert);
    if (!err)
        err = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (!err)
        err = fill_certificate(cert, key);
    if (!err)
        err = gnutls_certificate_set_x509_key(cred, &cert, 1, key);
    if (cert)
        gnutls_x509_crt_deinit(cert);
    if (key)
        gnutls_x509_privkey_deinit(key);
    return err;
}

static gnutls_datum_t datum(struct wz_bytes bytes)
{
    return (gnutls_datum_t){ .data = (unsigned char *)(uintptr_t)bytes.data, .size = (unsigned)bytes.len };
}

static int load_certificate(gnutls_certificate_credentials_t cred, struct wz_bytes cert_der, struct wz_bytes key_der)
{
    const gnutls_datum_t cert = datum(cert_der);
    const gnutls_datum_t key = datum(key_der);

    return gnutls_certificate_set_x509_key_mem(cred, &cert, &key, GNUTLS_X509_FMT_DER);
}

int quic_tls_init(struct quic_tls *tls, bool server, struct wz_bytes cert_der, struct wz_bytes key_der)
{
    struct quic_tls made = { .alpn = ALPN, .repair_sni = true };
    int err = gnutls_priority_init(&made.priority, PRIORITY, NULL);

    if (!err)
        err = gnutls_certificate_allocate_credentials(&made.client_cred);
    if (!err && server)
        err = gnutls_certificate_allocate_credentials(&made.server_cred);
    if (!err && server)
        err = cert_der.len ? load_certificate(made.server_cred, cert_der, key_der) : make_certificate(made.server_cred);
    if (err) {
        quic_tls_done(&made);
        return err == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
    }
    *tls = made;
    return 0;
}

void quic_tls_done(struct quic_tls *tls)
{
    if (tls->client_cred)
        gnutls_certificate_free_credentials(tls->client_cred);
    if (tls->server_cred)
        gnutls_certificate_free_credentials(tls->server_cred);
    if (tls->priority)
        gnutls_priority_deinit(tls->priority);
    *tls = (struct quic_tls){ 0 };
}

/* ---- server name ---- */

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool label_is_legal(struct wz_bytes label, bool last)
{
    size_t digits = 0;

    if (label.len < 1 || label.len > 63 || label.data[0] == '-' || label.data[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        uint8_t c = label.data[i];
        if (!is_letter(c) && !is_digit(c) && c != '_' && c != '-')
            return false;
        digits += is_digit(c);
    }
    return !last || digits < label.len;
}

bool quic_sni_is_legal(struct wz_bytes name)
{
    size_t start = 0;

    if (name.len < 1 || name.len > QUIC_SNI_MAX)
        return false;
    for (size_t i = 0; i <= name.len; i++) {
        bool last = i == name.len;
        if (!last && name.data[i] != '.')
            continue;
        if (!label_is_legal(wz_bytes(name.data + start, i - start), last))
            return false;
        start = i + 1;
    }
    return true;
}

static bool is_ip_literal(const char *name)
{
    uint8_t ip[16];

    return inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
}

static bool skip_vector8(struct wz_reader *in)
{
    uint8_t len;
    struct wz_bytes ignored;

    return wz_get_u8(in, &len) && wz_get_slice(in, len, &ignored);
}

static bool get_vector16(struct wz_reader *in, struct wz_bytes *ret)
{
    struct wz_reader ahead = *in;
    uint16_t len;

    if (!wz_get_u16be(&ahead, &len) || !wz_get_slice(&ahead, len, ret))
        return false;
    *in = ahead;
    return true;
}

/** The first host_name of a server_name extension. */
static bool host_name_of(struct wz_bytes extension, struct wz_bytes *ret)
{
    struct wz_reader in = wz_reader(extension);
    struct wz_bytes list;
    uint8_t type;

    if (!get_vector16(&in, &list))
        return false;
    in = wz_reader(list);
    return wz_get_u8(&in, &type) && type == TLS_NAME_HOST && get_vector16(&in, ret);
}

bool quic_find_sni(struct wz_bytes hello, size_t *ret_offset, size_t *ret_len)
{
    struct wz_reader in = wz_reader(hello);
    struct wz_bytes fixed, suites, extensions, body;
    uint16_t type;

    /* legacy_version and random; session id; cipher suites; compression methods (RFC 8446 4.1.2). */
    if (!wz_get_slice(&in, 2 + 32, &fixed) || !skip_vector8(&in) || !get_vector16(&in, &suites) || !skip_vector8(&in) ||
        !get_vector16(&in, &extensions))
        return false;
    in = wz_reader(extensions);
    while (wz_get_u16be(&in, &type) && get_vector16(&in, &body)) {
        struct wz_bytes name;
        if (type != TLS_EXT_SERVER_NAME)
            continue;
        if (!host_name_of(body, &name))
            return false;
        *ret_offset = (size_t)(name.data - hello.data);
        *ret_len = name.len;
        return true;
    }
    return false;
}

/** Keep the name the client sent and make it palatable for GnuTLS. False: the name is illegal. */
static bool take_sni(struct quic_tls_session *ts)
{
    size_t offset, len;
    uint8_t *name;

    if (!quic_find_sni(wz_bytes(ts->hello, ts->hello_len), &offset, &len))
        return true; /* none, or malformed: then GnuTLS itself refuses it */
    name = ts->hello + offset;
    if (len > QUIC_SNI_MAX)
        return false;
    memcpy(ts->sni, name, len);
    ts->sni[len] = '\0';
    if (is_ip_literal(ts->sni)) {
        memcpy(ts->sni, QUIC_SNI_DEFAULT, sizeof QUIC_SNI_DEFAULT);
        return true;
    }
    if (!quic_sni_is_legal(wz_bytes(name, len)))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (ts->sni[i] >= 'A' && ts->sni[i] <= 'Z')
            ts->sni[i] = (char)(ts->sni[i] | 0x20);
        if (name[i] == '_' && ts->repair_sni)
            name[i] = '-';
    }
    return true;
}

/* ---- GnuTLS callbacks: 0, or a negative number that ends the handshake ---- */

static struct quic_tls_session *session_of(gnutls_session_t session)
{
    ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(session);

    return ref->user_data;
}

static ngtcp2_conn *conn_of_ref(ngtcp2_crypto_conn_ref *ref)
{
    struct quic_tls_session *ts = ref->user_data;

    return ts->qc;
}

static int on_handshake_data(gnutls_session_t session, gnutls_record_encryption_level_t level,
                             gnutls_handshake_description_t type, const void *data, size_t len)
{
    if (type == GNUTLS_HANDSHAKE_CHANGE_CIPHER_SPEC)
        return 0;
    return ngtcp2_conn_submit_crypto_data(session_of(session)->qc, quic_level_of(level), data, len) ? -1 : 0;
}

static int on_alert(gnutls_session_t session, gnutls_record_encryption_level_t level, gnutls_alert_level_t alert_level,
                    gnutls_alert_description_t alert)
{
    (void)level;
    (void)alert_level;
    ngtcp2_conn_set_tls_alert(session_of(session)->qc, (uint8_t)alert);
    return 0;
}

static int on_secret(gnutls_session_t session, gnutls_record_encryption_level_t level, const void *rx, const void *tx,
                     size_t len)
{
    ngtcp2_conn *qc = session_of(session)->qc;
    quic_level at = quic_level_of(level);

    if (rx && ngtcp2_crypto_derive_and_install_rx_key(qc, NULL, NULL, NULL, at, rx, len))
        return -1;
    if (tx && ngtcp2_crypto_derive_and_install_tx_key(qc, NULL, NULL, NULL, at, tx, len))
        return -1;
    return 0;
}

static int on_client_hello(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                           const gnutls_datum_t *msg)
{
    struct quic_tls_session *ts = session_of(session);

    (void)type;
    (void)incoming;
    ts->hello = when == GNUTLS_HOOK_PRE ? msg->data : NULL;
    ts->hello_len = when == GNUTLS_HOOK_PRE ? msg->size : 0;
    return 0;
}

static int on_params_send(gnutls_session_t session, gnutls_buffer_t out)
{
    uint8_t buf[PARAMS_BYTES_MAX];
    ngtcp2_ssize n = ngtcp2_conn_encode_local_transport_params(session_of(session)->qc, buf, sizeof buf);

    return n < 0 || gnutls_buffer_append_data(out, buf, (size_t)n) ? -1 : 0;
}

static int on_params_received(gnutls_session_t session, const uint8_t *data, size_t len)
{
    struct quic_tls_session *ts = session_of(session);
    uintptr_t from_start = (uintptr_t)data - (uintptr_t)ts->hello;
    int err;

    /* Only when this really is the buffer that the hook saw may it be written to. */
    if (ts->server && ts->hello && from_start < ts->hello_len && !take_sni(ts))
        return GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER;
    err = quic_decode_params(ts->qc, data, len);
    if (err) {
        ngtcp2_conn_set_tls_error(ts->qc, err);
        return -1;
    }
    return 0;
}

/* ---- session ---- */

static int set_callbacks(struct quic_tls_session *ts)
{
    gnutls_handshake_set_secret_function(ts->session, on_secret);
    gnutls_handshake_set_read_function(ts->session, on_handshake_data);
    gnutls_alert_set_read_function(ts->session, on_alert);
    if (ts->server)
        gnutls_handshake_set_hook_function(ts->session, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_BOTH,
                                           on_client_hello);
    return gnutls_session_ext_register(
        ts->session, "QUIC Transport Parameters", NGTCP2_TLSEXT_QUIC_TRANSPORT_PARAMETERS_V1,
        ts->server ? GNUTLS_EXT_VERSION_NEG : GNUTLS_EXT_TLS, on_params_received, on_params_send, NULL, NULL, NULL,
        GNUTLS_EXT_FLAG_TLS | GNUTLS_EXT_FLAG_CLIENT_HELLO | GNUTLS_EXT_FLAG_EE);
}

int quic_tls_session_init(struct quic_tls_session *ts, const struct quic_tls *tls, bool server, const char *sni)
{
    const gnutls_datum_t alpn = datum(wz_bytes_str(tls->alpn));
    unsigned flags =
        GNUTLS_NO_END_OF_EARLY_DATA | (server ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET : GNUTLS_CLIENT);
    gnutls_certificate_credentials_t cred = server ? tls->server_cred : tls->client_cred;
    int err;

    *ts = (struct quic_tls_session){ .server = server, .repair_sni = tls->repair_sni, .sni = QUIC_SNI_DEFAULT };
    ts->ref = (ngtcp2_crypto_conn_ref){ .get_conn = conn_of_ref, .user_data = ts };
    err = gnutls_init(&ts->session, flags);
    if (err)
        return -ENOMEM;
    gnutls_session_set_ptr(ts->session, &ts->ref);
    err = gnutls_priority_set(ts->session, tls->priority);
    if (!err)
        err = gnutls_credentials_set(ts->session, GNUTLS_CRD_CERTIFICATE, cred);
    if (!err)
        err = gnutls_alpn_set_protocols(ts->session, &alpn, 1, GNUTLS_ALPN_MANDATORY);
    if (!err && !server && sni)
        err = gnutls_server_name_set(ts->session, GNUTLS_NAME_DNS, sni, strlen(sni));
    if (!err)
        err = set_callbacks(ts);
    if (err) {
        quic_tls_session_done(ts);
        return err == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
    }
    if (!server && sni)
        memcpy(ts->sni, sni, strlen(sni) + 1); /* the caller checked quic_sni_is_legal() */
    return 0;
}

void quic_tls_session_done(struct quic_tls_session *ts)
{
    if (ts->session)
        gnutls_deinit(ts->session);
    ts->session = NULL;
}
