/* A small SIP client for tests, written from the RFCs and apart from sip/: it formats and reads messages as text and
 * computes its own digest, so that it can disagree with the code under test. UDP or TCP; one message at a time.
 * Waiting runs the tested loop through pump(). Thread: the test's. */
#ifndef TESTS_SUPPORT_SIP_PEER_H
#define TESTS_SUPPORT_SIP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/addr.h"

#define SIP_PEER_MESSAGE_MAX 32768

struct sip_peer {
    int fd;
    bool tcp;
    struct wz_addr server;
    struct wz_addr local;
    void (*pump)(void *arg);
    void *arg;
    char rx[SIP_PEER_MESSAGE_MAX];
    size_t rx_len;
    unsigned branch; /**< of the last request sent */
};

/** One received message, NUL-terminated. */
struct sip_peer_message {
    char text[SIP_PEER_MESSAGE_MAX];
    char method[16];  /**< of a request, "" for a response */
    int status;       /**< of a response, 0 for a request */
    const char *body; /**< inside text, "" when empty */
};

/** A request to send; members that are NULL get what is said. */
struct sip_peer_request {
    const char *method;
    const char *uri;     /**< "sip:server" */
    const char *user;    /**< of From and Contact */
    const char *to_user; /**< the same as user */
    const char *call_id;
    unsigned cseq;
    const char *to_tag;  /**< none */
    const char *headers; /**< further header lines, each with CRLF; none */
    const char *body;    /**< SDP; none */
    unsigned branch;     /**< 0: a new one; else reused, as CANCEL and the ACK of a refusal want it */
    bool no_contact;
};

/** Open towards server. pump runs the loop under test for a moment without blocking. Aborts on failure. */
void sip_peer_open(struct sip_peer *peer, const struct wz_addr *server, bool tcp, void (*pump)(void *arg), void *arg);
void sip_peer_close(struct sip_peer *peer);
void sip_peer_send_text(struct sip_peer *peer, const char *text);
void sip_peer_send(struct sip_peer *peer, const struct sip_peer_request *request);
/** Answer request. headers and body may be NULL. */
void sip_peer_respond(struct sip_peer *peer, const struct sip_peer_message *request, int status, const char *to_tag,
                      const char *headers, const char *body);
/** Wait for any message. False after timeout_ms. */
bool sip_peer_receive(struct sip_peer *peer, struct sip_peer_message *ret, unsigned timeout_ms);
/** Wait for a response with this status (retransmissions and 100 are skipped); prints what came instead on failure. */
bool sip_peer_expect(struct sip_peer *peer, int status, struct sip_peer_message *ret);
/** Wait for a request with this method. */
bool sip_peer_expect_request(struct sip_peer *peer, const char *method, struct sip_peer_message *ret);

/** The nth (from 0) header of that name; false when there is none. Values longer than size are cut. */
bool sip_peer_header(const struct sip_peer_message *message, const char *name, unsigned nth, char *buf, size_t size);
/** The tag of To. */
bool sip_peer_to_tag(const struct sip_peer_message *message, char *buf, size_t size);
/** A parameter of a challenge or of any header: name=value or name="value". */
bool sip_peer_param(const char *header, const char *name, char *buf, size_t size);

/** "Authorization: Digest ..." line with CRLF for the challenge; nc counts from 1. */
void sip_peer_digest(const char *header_name, const char *challenge, const char *user, const char *password,
                     const char *method, const char *uri, unsigned nc, char *buf, size_t size);

#endif
