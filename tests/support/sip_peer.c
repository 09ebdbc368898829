#include "tests/support/sip_peer.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "wzp/rt/clock.h"
#include "wzp/rt/udp.h"

#define EXPECT_TIMEOUT_MS 5000
#define POLL_MS           2

static void die(const char *what)
{
    fprintf(stderr, "sip_peer: %s: %s\n", what, strerror(errno));
    abort();
}

void sip_peer_open(struct sip_peer *peer, const struct wz_addr *server, bool tcp, void (*pump)(void *arg), void *arg)
{
    struct sockaddr_storage sa;
    socklen_t len = wz_addr_to_sockaddr(server, &sa);
    *peer = (struct sip_peer){ .tcp = tcp, .server = *server, .pump = pump, .arg = arg };
    peer->fd = socket(sa.ss_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    if (peer->fd < 0 || connect(peer->fd, (struct sockaddr *)&sa, len) < 0)
        die("connect");
    if (fcntl(peer->fd, F_SETFL, O_NONBLOCK) < 0)
        die("fcntl");
    len = sizeof sa;
    if (getsockname(peer->fd, (struct sockaddr *)&sa, &len) < 0)
        die("getsockname");
    peer->local = wz_addr_from_sockaddr((struct sockaddr *)&sa);
}

void sip_peer_close(struct sip_peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

void sip_peer_send_text(struct sip_peer *peer, const char *text)
{
    const size_t len = strlen(text);
    if (send(peer->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
        die("send");
}

void sip_peer_send(struct sip_peer *peer, const struct sip_peer_request *request)
{
    static unsigned next_branch = 1;
    char text[SIP_PEER_MESSAGE_MAX], local[WZ_ADDR_TEXT_MAX], server[WZ_ADDR_TEXT_MAX], contact[256] = "", uri[128];
    const char *body = request->body ? request->body : "";
    const char *to_user = request->to_user ? request->to_user : request->user;
    peer->branch = request->branch ? request->branch : next_branch++;
    wz_addr_format(&peer->local, local);
    wz_addr_format(&peer->server, server);
    snprintf(uri, sizeof uri, "sip:%s", server);
    if (!request->no_contact)
        snprintf(contact, sizeof contact, "Contact: <sip:%s@%s%s>\r\n", request->user, local,
                 peer->tcp ? ";transport=tcp" : "");
    snprintf(text, sizeof text,
             "%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s;rport;branch=z9hG4bK-t%u\r\nMax-Forwards: 70\r\n"
             "From: <sip:%s@test>;tag=f-%s\r\nTo: <sip:%s@test>%s%s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n%s%s%s"
             "Content-Length: %zu\r\n\r\n%s",
             request->method, request->uri ? request->uri : uri, peer->tcp ? "TCP" : "UDP", local, peer->branch,
             request->user, request->call_id, to_user, request->to_tag ? ";tag=" : "",
             request->to_tag ? request->to_tag : "", request->call_id, request->cseq, request->method, contact,
             request->headers ? request->headers : "", *body ? "Content-Type: application/sdp\r\n" : "", strlen(body),
             body);
    sip_peer_send_text(peer, text);
}

static size_t append(char *text, size_t used, const char *line)
{
    const size_t len = strlen(line);
    if (used + len + 1 > SIP_PEER_MESSAGE_MAX)
        die("message too long");
    memcpy(text + used, line, len + 1);
    return used + len;
}

static size_t append_copies(char *text, size_t used, const struct sip_peer_message *from, const char *name,
                            const char *suffix)
{
    char value[2048], line[2304];
    for (unsigned i = 0; sip_peer_header(from, name, i, value, sizeof value); i++) {
        snprintf(line, sizeof line, "%s: %s%s\r\n", name, value, suffix);
        used = append(text, used, line);
    }
    return used;
}

void sip_peer_respond(struct sip_peer *peer, const struct sip_peer_message *request, int status, const char *to_tag,
                      const char *headers, const char *body)
{
    char text[SIP_PEER_MESSAGE_MAX], line[512], tag[128] = "", local[WZ_ADDR_TEXT_MAX], have[128];
    size_t used = 0;
    if (to_tag && !sip_peer_to_tag(request, have, sizeof have))
        snprintf(tag, sizeof tag, ";tag=%s", to_tag);
    snprintf(line, sizeof line, "SIP/2.0 %d Test\r\n", status);
    used = append(text, used, line);
    used = append_copies(text, used, request, "Via", "");
    used = append_copies(text, used, request, "Record-Route", "");
    used = append_copies(text, used, request, "From", "");
    used = append_copies(text, used, request, "To", tag);
    used = append_copies(text, used, request, "Call-ID", "");
    used = append_copies(text, used, request, "CSeq", "");
    snprintf(line, sizeof line, "Contact: <sip:peer@%s%s>\r\n%s", wz_addr_format(&peer->local, local),
             peer->tcp ? ";transport=tcp" : "", body ? "Content-Type: application/sdp\r\n" : "");
    used = append(text, used, line);
    used = append(text, used, headers ? headers : "");
    snprintf(line, sizeof line, "Content-Length: %zu\r\n\r\n", body ? strlen(body) : 0);
    used = append(text, used, line);
    (void)append(text, used, body ? body : "");
    sip_peer_send_text(peer, text);
}

/* Bytes of the first complete message in rx, 0 when there is none yet. */
static size_t complete_message(const struct sip_peer *peer)
{
    const char *end = strstr(peer->rx, "\r\n\r\n");
    if (!end)
        return 0;
    const size_t head = (size_t)(end - peer->rx) + 4;
    const char *length = strstr(peer->rx, "Content-Length:");
    if (!length || length > end)
        length = strstr(peer->rx, "\r\nl:");
    const size_t body = length && length < end ? strtoul(strchr(length, ':') + 1, NULL, 10) : 0;
    return peer->rx_len >= head + body ? head + body : 0;
}

static void take_message(struct sip_peer *peer, size_t len, struct sip_peer_message *ret)
{
    memcpy(ret->text, peer->rx, len);
    ret->text[len] = '\0';
    peer->rx_len -= len;
    memmove(peer->rx, peer->rx + len, peer->rx_len);
    peer->rx[peer->rx_len] = '\0';
    ret->status = 0;
    ret->method[0] = '\0';
    if (sscanf(ret->text, "SIP/2.0 %d", &ret->status) != 1)
        (void)sscanf(ret->text, "%15s", ret->method);
    ret->body = strstr(ret->text, "\r\n\r\n") + 4;
}

bool sip_peer_receive(struct sip_peer *peer, struct sip_peer_message *ret, unsigned timeout_ms)
{
    const uint64_t until_us = wz_clock_us() + timeout_ms * UINT64_C(1000);
    do {
        const size_t len = complete_message(peer);
        if (len > 0) {
            take_message(peer, len, ret);
            return true;
        }
        peer->pump(peer->arg);
        (void)poll(&(struct pollfd){ .fd = peer->fd, .events = POLLIN }, 1, POLL_MS);
        const ssize_t got = recv(peer->fd, peer->rx + peer->rx_len, sizeof peer->rx - 1 - peer->rx_len, 0);
        if (got > 0) {
            peer->rx_len += (size_t)got;
            peer->rx[peer->rx_len] = '\0';
        }
    } while (wz_clock_us() < until_us);
    return false;
}

bool sip_peer_expect(struct sip_peer *peer, int status, struct sip_peer_message *ret)
{
    while (sip_peer_receive(peer, ret, EXPECT_TIMEOUT_MS)) {
        if (ret->status == status)
            return true;
        if (ret->status != 100)
            fprintf(stderr, "sip_peer: expected %d, got:\n%s\n", status, ret->text);
        if (ret->status != 100 && ret->status != 0)
            return false;
    }
    fprintf(stderr, "sip_peer: expected %d, got nothing\n", status);
    return false;
}

bool sip_peer_expect_request(struct sip_peer *peer, const char *method, struct sip_peer_message *ret)
{
    while (sip_peer_receive(peer, ret, EXPECT_TIMEOUT_MS)) {
        if (strcmp(ret->method, method) == 0)
            return true;
        fprintf(stderr, "sip_peer: expected %s, got:\n%s\n", method, ret->text);
    }
    fprintf(stderr, "sip_peer: expected %s, got nothing\n", method);
    return false;
}

bool sip_peer_header(const struct sip_peer_message *message, const char *name, unsigned nth, char *buf, size_t size)
{
    const size_t len = strlen(name);
    const char *end = message->body - 2;
    for (const char *line = strstr(message->text, "\r\n") + 2; line < end; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, name, len) != 0 || line[len] != ':' || nth-- != 0)
            continue;
        const char *value = line + len + 1;
        value += strspn(value, " ");
        snprintf(buf, size, "%.*s", (int)strcspn(value, "\r"), value);
        return true;
    }
    return false;
}

bool sip_peer_param(const char *header, const char *name, char *buf, size_t size)
{
    const size_t len = strlen(name);
    for (const char *at = strstr(header, name); at; at = strstr(at + 1, name)) {
        if ((at > header && (isalnum((unsigned char)at[-1]) || at[-1] == '-')) || at[len] != '=')
            continue;
        const char *value = at + len + 1;
        if (*value == '"')
            snprintf(buf, size, "%.*s", (int)strcspn(value + 1, "\""), value + 1);
        else
            snprintf(buf, size, "%.*s", (int)strcspn(value, ";,> \r"), value);
        return true;
    }
    return false;
}

bool sip_peer_to_tag(const struct sip_peer_message *message, char *buf, size_t size)
{
    char to[512];
    return sip_peer_header(message, "To", 0, to, sizeof to) && sip_peer_param(to, "tag", buf, size);
}

static void hash(const char *algorithm, const char *text, char ret[static 65])
{
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    const EVP_MD *type = strcmp(algorithm, "SHA-256") == 0 ? EVP_sha256() : EVP_md5();
    if (EVP_Digest(text, strlen(text), md, &len, type, NULL) != 1)
        die("digest");
    for (unsigned i = 0; i < len; i++)
        snprintf(ret + 2 * i, 3, "%02x", md[i]);
}

void sip_peer_digest(const char *header_name, const char *challenge, const char *user, const char *password,
                     const char *method, const char *uri, unsigned nc, char *buf, size_t size)
{
    char realm[128] = "", nonce[256] = "", algorithm[32] = "MD5", text[1024], ha1[65], ha2[65], response[65];
    (void)sip_peer_param(challenge, "realm", realm, sizeof realm);
    (void)sip_peer_param(challenge, "nonce", nonce, sizeof nonce);
    (void)sip_peer_param(challenge, "algorithm", algorithm, sizeof algorithm);
    snprintf(text, sizeof text, "%s:%s:%s", user, realm, password);
    hash(algorithm, text, ha1);
    snprintf(text, sizeof text, "%s:%s", method, uri);
    hash(algorithm, text, ha2);
    snprintf(text, sizeof text, "%s:%s:%08x:0a4f113b:auth:%s", ha1, nonce, nc, ha2);
    hash(algorithm, text, response);
    snprintf(buf, size,
             "%s: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", response=\"%s\", algorithm=%s, "
             "cnonce=\"0a4f113b\", qop=auth, nc=%08x\r\n",
             header_name, user, realm, nonce, uri, response, algorithm, nc);
}
