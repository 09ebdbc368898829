/* Every difference between the ngtcp2 versions we build on: 0.12 (Debian 12), 1.11 (Debian 13), 1.24 (sid).
 * Private to wzp/io. The rest of the code calls these helpers and never asks for a version. */
#ifndef WZP_IO_QUIC_COMPAT_H
#define WZP_IO_QUIC_COMPAT_H

#include <stdbool.h>
#include <string.h>

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "wzp/base/bytes.h"

#if NGTCP2_VERSION_NUM >= 0x010000
#define QUIC_NGTCP2_1 1
typedef ngtcp2_encryption_level quic_level;
typedef ngtcp2_ccerr quic_close_error;
typedef ngtcp2_connection_id_status_type quic_cid_status;
#else
#define QUIC_NGTCP2_1 0
typedef ngtcp2_crypto_level quic_level;
typedef ngtcp2_connection_close_error quic_close_error;
typedef int quic_cid_status;
#endif

static inline quic_level quic_level_of(gnutls_record_encryption_level_t level)
{
    return ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(level);
}

static inline int quic_decode_params(ngtcp2_conn *qc, const uint8_t *data, size_t len)
{
#if QUIC_NGTCP2_1
    return ngtcp2_conn_decode_and_set_remote_transport_params(qc, data, len);
#else
    return ngtcp2_conn_decode_remote_transport_params(qc, data, len);
#endif
}

/** The token of an Initial packet, borrowed from the packet. */
static inline struct wz_bytes quic_hd_token(const ngtcp2_pkt_hd *hd)
{
#if QUIC_NGTCP2_1
    return wz_bytes(hd->token, hd->tokenlen);
#else
    return wz_bytes(hd->token.base, hd->token.len);
#endif
}

/** ngtcp2 copies the token when the connection is made. */
static inline void quic_settings_token(ngtcp2_settings *settings, const ngtcp2_pkt_hd *hd)
{
#if QUIC_NGTCP2_1
    settings->token = hd->token;
    settings->tokenlen = hd->tokenlen;
#else
    settings->token = hd->token;
#endif
}

static inline void quic_params_original_dcid(ngtcp2_transport_params *params, const ngtcp2_cid *dcid)
{
    params->original_dcid = *dcid;
#if QUIC_NGTCP2_1
    params->original_dcid_present = 1;
#endif
}

/* ---- closing ---- */

static inline void quic_close_error_app(quic_close_error *ret, uint64_t code, const char *reason)
{
#if QUIC_NGTCP2_1
    ngtcp2_ccerr_default(ret);
    ngtcp2_ccerr_set_application_error(ret, code, (const uint8_t *)reason, strlen(reason));
#else
    ngtcp2_connection_close_error_default(ret);
    ngtcp2_connection_close_error_set_application_error(ret, code, (const uint8_t *)reason, strlen(reason));
#endif
}

/** What to tell the peer after an ngtcp2 function failed with liberr. */
static inline void quic_close_error_lib(quic_close_error *ret, ngtcp2_conn *qc, int liberr)
{
    uint8_t alert = ngtcp2_conn_get_tls_alert(qc);

#if QUIC_NGTCP2_1
    ngtcp2_ccerr_default(ret);
    if (liberr == NGTCP2_ERR_CRYPTO && alert)
        ngtcp2_ccerr_set_tls_alert(ret, alert, NULL, 0);
    else
        ngtcp2_ccerr_set_liberr(ret, liberr, NULL, 0);
#else
    ngtcp2_connection_close_error_default(ret);
    if (liberr == NGTCP2_ERR_CRYPTO && alert)
        ngtcp2_connection_close_error_set_transport_error_tls_alert(ret, alert, NULL, 0);
    else
        ngtcp2_connection_close_error_set_transport_error_liberr(ret, liberr, NULL, 0);
#endif
}

struct quic_peer_close {
    bool application;
    uint64_t code;
    struct wz_bytes reason; /**< borrowed from the connection */
};

/** What the peer said in its CONNECTION_CLOSE. */
static inline struct quic_peer_close quic_peer_close(ngtcp2_conn *qc)
{
#if QUIC_NGTCP2_1
    const ngtcp2_ccerr *e = ngtcp2_conn_get_ccerr(qc);
    bool application = e->type == NGTCP2_CCERR_TYPE_APPLICATION;
#else
    ngtcp2_connection_close_error copy = { 0 };
    const ngtcp2_connection_close_error *e = &copy;
    bool application;

    ngtcp2_conn_get_connection_close_error(qc, &copy);
    application = e->type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION;
#endif
    return (struct quic_peer_close){
        .application = application,
        .code = e->error_code,
        .reason = wz_bytes(e->reason, e->reason ? e->reasonlen : 0),
    };
}

/* ---- streams ---- */

/** Ask the peer to stop sending on a stream; its data is discarded from now on. */
static inline int quic_stop_reading(ngtcp2_conn *qc, int64_t stream_id)
{
#if QUIC_NGTCP2_1
    return ngtcp2_conn_shutdown_stream_read(qc, 0, stream_id, 0);
#else
    return ngtcp2_conn_shutdown_stream_read(qc, stream_id, 0);
#endif
}

/* ---- statistics ---- */

/** Smoothed and smallest round trip, microseconds; the smallest is 0 before the first sample. */
static inline void quic_round_trip(ngtcp2_conn *qc, uint32_t *ret_rtt_us, uint32_t *ret_min_us)
{
#if QUIC_NGTCP2_1
    ngtcp2_conn_info info;

    ngtcp2_conn_get_conn_info(qc, &info);
#else
    ngtcp2_conn_stat info;

    ngtcp2_conn_get_conn_stat(qc, &info);
#endif
    *ret_rtt_us = (uint32_t)(info.smoothed_rtt / NGTCP2_MICROSECONDS);
    *ret_min_us = info.min_rtt == UINT64_MAX ? 0 : (uint32_t)(info.min_rtt / NGTCP2_MICROSECONDS);
}

#endif
