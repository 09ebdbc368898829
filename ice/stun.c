#include "ice/stun.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <stun/stunagent.h>
#include <stun/usages/bind.h>

#include "wzp/rt/udp.h"

#define PACKET_MAX 576

/** One server and the request that is under way to it. */
struct query {
    struct wz_addr server;
    StunAgent agent; /* one each: its table of transactions knows only this server's */
    bool waiting;
    unsigned sends;
    uint64_t next_us;
    size_t packet_len;
    uint8_t packet[PACKET_MAX];
    StunTransactionId id;
    bool has_mapping;
    struct wz_addr mapping;
};

struct wice_stun {
    struct wice_stun_config config;
    struct query query[WICE_STUN_MAX_SERVERS];
};

static const uint16_t known_attributes[] = {
    STUN_ATTRIBUTE_MAPPED_ADDRESS,
    STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS,
    STUN_ATTRIBUTE_ERROR_CODE,
    STUN_ATTRIBUTE_ALTERNATE_SERVER,
    0,
};

int wice_stun_new(struct wice_stun **ret, const struct wice_stun_config *config)
{
    if (config->server_count > WICE_STUN_MAX_SERVERS)
        return -EINVAL;
    struct wice_stun *stun = calloc(1, sizeof *stun);
    if (!stun)
        return -ENOMEM;
    stun->config = *config;
    for (size_t i = 0; i < config->server_count; i++) {
        stun->query[i].server = config->server[i];
        stun_agent_init(&stun->query[i].agent, known_attributes, STUN_COMPATIBILITY_RFC5389, 0);
    }
    *ret = stun;
    return 0;
}

void wice_stun_free(struct wice_stun *stun)
{
    free(stun);
}

static void send_now(struct wice_stun *stun, struct query *query, uint64_t now_us)
{
    query->next_us = now_us + ((uint64_t)WICE_STUN_RTO_US << query->sends);
    query->sends++;
    stun->config.send(stun->config.arg, wz_bytes(query->packet, query->packet_len), &query->server);
}

void wice_stun_start(struct wice_stun *stun, uint64_t now_us)
{
    for (size_t i = 0; i < stun->config.server_count; i++) {
        struct query *query = &stun->query[i];
        StunMessage request;
        if (query->waiting)
            (void)stun_agent_forget_transaction(&query->agent, query->id);
        query->packet_len = stun_usage_bind_create(&query->agent, &request, query->packet, sizeof query->packet);
        query->waiting = query->packet_len > 0;
        query->sends = 0;
        if (!query->waiting)
            continue;
        stun_message_id(&request, query->id);
        send_now(stun, query, now_us);
    }
}

/* The mapped address of a success response; libnice has checked length, cookie and attributes. */
static bool read_mapping(StunMessage *message, struct wz_addr *ret)
{
    struct sockaddr_storage mapped = { 0 }, alternate = { 0 };
    socklen_t mapped_len = sizeof mapped, alternate_len = sizeof alternate;
    StunUsageBindReturn result = stun_usage_bind_process(message, (struct sockaddr *)&mapped, &mapped_len,
                                                         (struct sockaddr *)&alternate, &alternate_len);
    if (result != STUN_USAGE_BIND_RETURN_SUCCESS)
        return false;
    *ret = wz_addr_from_sockaddr((const struct sockaddr *)&mapped);
    return ret->family != WZ_ADDR_NONE && ret->port != 0;
}

bool wice_stun_packet(struct wice_stun *stun, struct wz_bytes packet, const struct wz_addr *from)
{
    for (size_t i = 0; i < stun->config.server_count; i++) {
        struct query *query = &stun->query[i];
        struct wz_addr mapping;
        StunMessage message;
        uint8_t copy[PACKET_MAX]; /* libnice wants it writable */
        if (!query->waiting || !wz_addr_equal(&query->server, from) || packet.len > sizeof copy)
            continue;
        memcpy(copy, packet.data, packet.len);
        if (stun_agent_validate(&query->agent, &message, copy, packet.len, NULL, NULL) != STUN_VALIDATION_SUCCESS)
            continue;
        query->waiting = false; /* an error answer is an answer too: the server does not want us */
        if (read_mapping(&message, &mapping)) {
            query->mapping = mapping;
            query->has_mapping = true;
        } else {
            query->has_mapping = false;
        }
        return true;
    }
    return false;
}

void wice_stun_tick(struct wice_stun *stun, uint64_t now_us)
{
    for (size_t i = 0; i < stun->config.server_count; i++) {
        struct query *query = &stun->query[i];
        if (!query->waiting || now_us < query->next_us)
            continue;
        if (query->sends < WICE_STUN_SENDS) {
            send_now(stun, query, now_us);
            continue;
        }
        query->waiting = false;
        query->has_mapping = false;
        (void)stun_agent_forget_transaction(&query->agent, query->id);
    }
}

uint64_t wice_stun_deadline_us(const struct wice_stun *stun)
{
    uint64_t next_us = UINT64_MAX;
    for (size_t i = 0; i < stun->config.server_count; i++) {
        const struct query *query = &stun->query[i];
        if (query->waiting && query->next_us < next_us)
            next_us = query->next_us;
    }
    return next_us;
}

bool wice_stun_is_done(const struct wice_stun *stun)
{
    return wice_stun_deadline_us(stun) == UINT64_MAX;
}

bool wice_stun_mapping(const struct wice_stun *stun, size_t index, struct wz_addr *ret)
{
    if (index >= stun->config.server_count || !stun->query[index].has_mapping)
        return false;
    *ret = stun->query[index].mapping;
    return true;
}
