/* TLS 1.3 of a QUIC endpoint, on GnuTLS. Private to wzp/io.
 *
 * Every GnuTLS server refuses a server name with an underscore, and WZP dials "_signal". The names are therefore read
 * from the raw ClientHello and repaired in GnuTLS's parse buffer before it looks at them (quic_tls.c says how).
 * Spec: docs/wzp-wire.md "QUIC layer"; RFC 9001. */
#ifndef WZP_IO_QUIC_TLS_H
#define WZP_IO_QUIC_TLS_H

#include <stdbool.h>

#include <gnutls/gnutls.h>

#include "wzp/io/quic_compat.h"

/** Longest DNS name (RFC 1035), which is the longest SNI. */
#define QUIC_SNI_MAX 253
/** The SNI's stand-in when a client sends none, or an IP literal. */
#define QUIC_SNI_DEFAULT "default"

/** Credentials and settings shared by the connections of an endpoint. */
struct quic_tls {
    gnutls_certificate_credentials_t client_cred;
    gnutls_certificate_credentials_t server_cred; /**< NULL: no server role */
    gnutls_priority_t priority;
    const char *alpn; /**< "wzp"; a test dials with another one */
    bool repair_sni;  /**< always true; a guard test clears it to see the failure that the repair prevents */
};

/** cert_der and key_der empty: a throw-away P-256 certificate, when the server role is wanted. 0, -EINVAL, -ENOMEM. */
int quic_tls_init(struct quic_tls *tls, bool server, struct wz_bytes cert_der, struct wz_bytes key_der);
/** NULL-credential-safe. */
void quic_tls_done(struct quic_tls *tls);

/** The TLS side of one connection, embedded in it. */
struct quic_tls_session {
    ngtcp2_crypto_conn_ref ref; /**< what ngtcp2's crypto helper finds through the GnuTLS session */
    gnutls_session_t session;
    ngtcp2_conn *qc; /**< set by the owner before the first packet */
    uint8_t *hello;  /**< ClientHello while GnuTLS parses it, else NULL */
    size_t hello_len;
    bool server, repair_sni;
    char sni[QUIC_SNI_MAX + 1]; /**< lower-case; QUIC_SNI_DEFAULT until a name was seen */
};

/** sni NULL: none is sent (client), or ignored (server). 0, -EINVAL, -ENOMEM. */
int quic_tls_session_init(struct quic_tls_session *ts, const struct quic_tls *tls, bool server, const char *sni);
void quic_tls_session_done(struct quic_tls_session *ts);

/** DNS syntax as WZP-capable peers check it: labels of 1-63 of [A-Za-z0-9_-], none with '-' at an end, the last not
 *  all digits, QUIC_SNI_MAX in all. */
bool quic_sni_is_legal(struct wz_bytes name);
/** Find host_name in the body of a ClientHello (untrusted). False when absent or malformed. */
bool quic_find_sni(struct wz_bytes hello, size_t *ret_offset, size_t *ret_len);

#endif
