#include "gateway/addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MODULE "addresses"
#include "ice/enumerate.h"
#include "ice/stun.h"
#include "wzp/io/line.h"
#include "wzp/io/quic.h"
#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"

/** Interfaces come and go, NAT mappings move: look again this often. */
#define ROUND_EVERY_US 60000000u

struct gw_addresses {
    struct gw_addresses_config config;
    struct wz_loop *loop;
    struct wzp_quic *quic;
    struct wice_stun *stun;
    struct wz_timer timer;
    uint64_t next_round_us;
    struct wzp_line_addresses known;
};

static void send_stun(void *arg, struct wz_bytes packet, const struct wz_addr *to)
{
    struct gw_addresses *self = arg;
    (void)wzp_quic_send_raw(self->quic, packet, to); /* a lost request is sent again */
}

static void tell_if_changed(struct gw_addresses *self, const struct wzp_line_addresses *now_known)
{
    char text[WZ_ADDR_TEXT_MAX];
    if (memcmp(&self->known, now_known, sizeof self->known) == 0)
        return;
    self->known = *now_known;
    for (size_t i = 0; i < self->known.stun_count; i++)
        LOG_INFO("addresses.mapping", "stun=%s", wz_addr_format(&self->known.stun[i], text));
    self->config.changed(self->config.arg, &self->known);
}

/* Addresses of interfaces that lead to the endpoint's socket. */
static void find_hosts(const struct gw_addresses *self, uint16_t port, struct wzp_line_addresses *ret)
{
    struct wz_addr host[WZP_SIGNAL_MAX_ADDRS];
    memset(host, 0, sizeof host); /* padding too */
    size_t count = wice_enumerate(port, self->config.allow_loopback_hosts, host, WZP_SIGNAL_MAX_ADDRS);
    for (size_t i = 0; i < count; i++) {
        if (wzp_line_endpoint_has(self->quic, &host[i]))
            ret->host[ret->host_count++] = host[i];
    }
}

static void look(struct gw_addresses *self)
{
    struct wzp_line_addresses now_known;
    uint16_t port = wzp_quic_local(self->quic).port;
    memset(&now_known, 0, sizeof now_known); /* padding too: it is compared with memcmp */
    now_known.public_address = self->config.public_address;
    if (now_known.public_address.family != WZ_ADDR_NONE && now_known.public_address.port == 0)
        now_known.public_address.port = port;
    now_known.share_loopback = self->config.allow_loopback_hosts;
    find_hosts(self, port, &now_known);
    for (size_t i = 0; i < self->config.stun_count; i++) {
        if (wice_stun_mapping(self->stun, i, &now_known.stun[now_known.stun_count]))
            now_known.stun_count++;
    }
    tell_if_changed(self, &now_known);
}

static void arm(struct gw_addresses *self)
{
    uint64_t at_us = wice_stun_deadline_us(self->stun);
    wz_timer_set(&self->timer, at_us < self->next_round_us ? at_us : self->next_round_us);
}

static void on_timer(void *arg)
{
    struct gw_addresses *self = arg;
    uint64_t now_us = wz_loop_now_us(self->loop);
    wice_stun_tick(self->stun, now_us);
    if (now_us >= self->next_round_us) {
        self->next_round_us = now_us + ROUND_EVERY_US;
        wice_stun_start(self->stun, now_us);
    }
    look(self);
    arm(self);
}

int gw_addresses_new(struct gw_addresses **ret, struct wz_loop *loop, struct wzp_quic *quic,
                     const struct gw_addresses_config *config)
{
    struct wice_stun_config stun = { .server_count = config->stun_count, .send = send_stun };
    struct gw_addresses *self = calloc(1, sizeof *self);
    if (!self)
        return -ENOMEM;
    self->config = *config;
    self->loop = loop;
    self->quic = quic;
    stun.arg = self;
    memcpy(stun.server, config->stun, sizeof config->stun);
    int err = wice_stun_new(&self->stun, &stun);
    if (err) {
        free(self);
        return err;
    }
    wz_timer_init(&self->timer, loop, on_timer, self);
    wz_timer_set(&self->timer, wz_loop_now_us(loop)); /* the first round, from the loop */
    *ret = self;
    return 0;
}

void gw_addresses_free(struct gw_addresses *self)
{
    if (!self)
        return;
    wz_timer_cancel(&self->timer);
    wice_stun_free(self->stun);
    free(self);
}

void gw_addresses_packet(struct gw_addresses *self, struct wz_bytes packet, const struct wz_addr *from)
{
    if (!wice_stun_packet(self->stun, packet, from))
        return;
    look(self);
    arm(self);
}

const struct wzp_line_addresses *gw_addresses_known(const struct gw_addresses *self)
{
    return &self->known;
}
