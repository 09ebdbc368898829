#include "wzp/core/race.h"

#define NEVER UINT64_MAX

static uint64_t ms(unsigned value)
{
    return (uint64_t)value * 1000;
}

static uint64_t min_us(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void push(struct wzp_race_effects *out, enum wzp_race_effect_kind kind, uint64_t link, bool ok)
{
    if (out->count < WZP_RACE_MAX_EFFECTS) /* sized for the most that one step does */
        out->item[out->count++] = (struct wzp_race_effect){ .kind = kind, .link = link, .ok = ok };
}

/* ---- the links ---- */

static struct wzp_race_link *find_link(struct wzp_race *race, uint64_t id)
{
    for (size_t i = 0; id != 0 && i < WZP_RACE_MAX_LINKS; i++)
        if (race->link[i].id == id)
            return &race->link[i];
    return NULL;
}

static size_t count_links(const struct wzp_race *race, bool is_inbound)
{
    size_t count = 0;
    for (size_t i = 0; i < WZP_RACE_MAX_LINKS; i++)
        count += race->link[i].id != 0 && race->link[i].is_inbound == is_inbound;
    return count;
}

bool wzp_race_add(struct wzp_race *race, uint64_t id, bool is_inbound)
{
    const size_t most = is_inbound ? WZP_RACE_MAX_INBOUND : WZP_RACE_MAX_DIALS;
    if (id == 0 || count_links(race, is_inbound) >= most)
        return false;
    for (size_t i = 0; i < WZP_RACE_MAX_LINKS; i++) {
        if (race->link[i].id != 0)
            continue;
        race->link[i] = (struct wzp_race_link){ .id = id, .is_inbound = is_inbound };
        return true;
    }
    return false;
}

static void close_link(struct wzp_race_link *link, struct wzp_race_effects *out)
{
    push(out, WZP_RACE_CLOSE_LINK, link->id, false);
    *link = (struct wzp_race_link){ 0 };
}

static void close_links_but(struct wzp_race *race, uint64_t keep, struct wzp_race_effects *out)
{
    for (size_t i = 0; i < WZP_RACE_MAX_LINKS; i++)
        if (race->link[i].id != 0 && race->link[i].id != keep)
            close_link(&race->link[i], out);
}

/** The first connection that could be chosen. */
static struct wzp_race_link *best_link(struct wzp_race *race)
{
    const bool is_own = race->config.kind == WZP_RACE_OWN;
    for (size_t i = 0; i < WZP_RACE_MAX_LINKS; i++) {
        struct wzp_race_link *link = &race->link[i];
        if (link->id != 0 && link->is_up && (!is_own || link->is_verified))
            return link;
    }
    return NULL;
}

/* ---- states ---- */

static void enter(struct wzp_race *race, enum wzp_race_state state, uint64_t chosen, uint64_t now_us)
{
    race->state = state;
    race->state_us = now_us;
    race->chosen = chosen;
}

static bool has_reports_by_clock(const struct wzp_race *race)
{
    return race->config.reports && race->config.kind != WZP_RACE_OWN;
}

/** Towards the reference: our race is over, its result is told at the moments when the peer listens. */
static void decide(struct wzp_race *race, uint64_t now_us)
{
    if (race->decided)
        return;
    race->decided = true;
    const uint64_t first_us = race->start_us + ms(WZP_RACE_REPORT_FIRST_MS);
    if (has_reports_by_clock(race))
        race->report_us = now_us > first_us ? now_us : first_us;
}

/** keep: the spare connection, or 0. */
static void to_relay(struct wzp_race *race, uint64_t keep, uint64_t now_us, struct wzp_race_effects *out)
{
    race->lost = race->lost || race->state == WZP_RACE_DIRECT;
    close_links_but(race, keep, out);
    enter(race, WZP_RACE_RELAY, keep, now_us);
    decide(race, now_us);
    if (race->config.kind == WZP_RACE_OWN && race->config.reports)
        push(out, WZP_RACE_TELL_PEER, 0, false);
    if (!race->relay_up)
        push(out, WZP_RACE_WANT_RELAY, 0, false);
}

static void to_direct(struct wzp_race *race, uint64_t link, bool peer_shown, uint64_t now_us,
                      struct wzp_race_effects *out)
{
    close_links_but(race, link, out);
    enter(race, WZP_RACE_DIRECT, link, now_us);
    race->peer_shown = peer_shown;
    race->relay_held = true;
    race->seen_us = now_us;
    race->probe_us = NEVER;
    if (race->config.kind != WZP_RACE_OWN)
        return;
    race->probe_us = now_us; /* the first one shows the peer that we use it */
    if (race->config.reports)
        push(out, WZP_RACE_TELL_PEER, 0, true);
}

static void nominate(struct wzp_race *race, uint64_t link, uint64_t now_us, struct wzp_race_effects *out)
{
    enter(race, WZP_RACE_NOMINATED, link, now_us);
    push(out, WZP_RACE_TELL_LINK, link, true);
}

/** The peer's nomination, on a connection where both are verified. */
static void confirm(struct wzp_race *race, uint64_t link, uint64_t now_us, struct wzp_race_effects *out)
{
    push(out, WZP_RACE_TELL_LINK, link, true);
    to_direct(race, link, false, now_us, out);
}

static uint64_t racing_ends_us(const struct wzp_race *race)
{
    const bool follows = race->config.kind == WZP_RACE_OWN && !race->config.nominates;
    return race->start_us + ms(WZP_RACE_BUDGET_MS) + (follows ? ms(WZP_RACE_FOLLOW_MS) : 0);
}

/** The nominated connection came to nothing and is closed. */
static void nominate_next(struct wzp_race *race, uint64_t now_us, struct wzp_race_effects *out)
{
    struct wzp_race_link *next = best_link(race);
    if (racing_ends_us(race) <= now_us)
        to_relay(race, 0, now_us, out);
    else if (next)
        nominate(race, next->id, now_us, out);
    else
        enter(race, WZP_RACE_RACING, 0, now_us);
}

/** Reference: a connection is there; direct needs the peer's report too. */
static void agree(struct wzp_race *race, uint64_t link, uint64_t now_us, struct wzp_race_effects *out)
{
    enter(race, WZP_RACE_AGREEING, link, now_us);
    decide(race, now_us);
    if (race->config.kind == WZP_RACE_DIALER)
        close_links_but(race, link, out);
    if (race->peer_agrees)
        to_direct(race, link, false, now_us, out);
}

/* ---- events ---- */

static void on_link_up(struct wzp_race *race, struct wzp_race_link *link, bool is_announced, uint64_t now_us,
                       struct wzp_race_effects *out)
{
    link->is_up = true;
    link->is_announced = is_announced;
    link->up_us = now_us;
    if (race->config.kind == WZP_RACE_ACCEPTOR && race->config.announced_only && !is_announced)
        close_link(link, out);
    else if (race->state == WZP_RACE_RACING &&
             (race->config.kind == WZP_RACE_DIALER || (race->config.kind == WZP_RACE_ACCEPTOR && is_announced)))
        agree(race, link->id, now_us, out);
}

static void on_verified(struct wzp_race *race, struct wzp_race_link *link, bool nominates, uint64_t now_us,
                        struct wzp_race_effects *out)
{
    if (race->config.kind != WZP_RACE_OWN)
        return;
    link->is_verified = true;
    race->config.nominates = nominates;
    if (race->state != WZP_RACE_RACING)
        return;
    if (nominates)
        nominate(race, link->id, now_us, out);
    else if (link->peer_nominated) /* it overtook the hello */
        confirm(race, link->id, now_us, out);
}

static void on_link_down(struct wzp_race *race, struct wzp_race_link *link, uint64_t now_us,
                         struct wzp_race_effects *out)
{
    const bool was_chosen = link->id == race->chosen;
    *link = (struct wzp_race_link){ 0 };
    struct wzp_race_link *other = best_link(race);
    switch (race->state) {
    case WZP_RACE_RACING:
        if (race->config.kind == WZP_RACE_DIALER && count_links(race, false) == 0)
            to_relay(race, 0, now_us, out);
        break;
    case WZP_RACE_NOMINATED:
        if (was_chosen)
            nominate_next(race, now_us, out);
        break;
    case WZP_RACE_AGREEING: /* the dialer may have completed several and kept another one */
        if (was_chosen && other)
            race->chosen = other->id;
        else if (was_chosen)
            to_relay(race, 0, now_us, out);
        break;
    case WZP_RACE_DIRECT:
        if (was_chosen)
            to_relay(race, 0, now_us, out);
        break;
    case WZP_RACE_RELAY:
        race->chosen = 0;
        break;
    }
}

static void on_link_report(struct wzp_race *race, struct wzp_race_link *link, bool ok, uint64_t now_us,
                           struct wzp_race_effects *out)
{
    if (race->config.kind != WZP_RACE_OWN)
        return;
    if (!ok) { /* the peer will not have it */
        push(out, WZP_RACE_CLOSE_LINK, link->id, false);
        on_link_down(race, link, now_us, out);
    } else if (race->state == WZP_RACE_NOMINATED && link->id == race->chosen) {
        to_direct(race, link->id, true, now_us, out);
    } else if (race->state == WZP_RACE_RACING) {
        link->peer_nominated = true;
        if (link->is_verified && !race->config.nominates)
            confirm(race, link->id, now_us, out);
    }
}

static void on_link_seen(struct wzp_race *race, const struct wzp_race_link *link, uint64_t now_us)
{
    if (race->state != WZP_RACE_DIRECT || link->id != race->chosen)
        return;
    race->seen_us = now_us;
    if (race->config.kind == WZP_RACE_OWN)
        race->peer_shown = true;
}

static void on_peer_report(struct wzp_race *race, bool ok, uint64_t now_us, struct wzp_race_effects *out)
{
    if (race->state == WZP_RACE_RELAY)
        return;
    if (!ok)
        to_relay(race, 0, now_us, out);
    else if (race->state == WZP_RACE_AGREEING)
        to_direct(race, race->chosen, false, now_us, out);
    else if (race->config.kind != WZP_RACE_OWN) /* own kind agrees on the connection itself */
        race->peer_agrees = true;
}

static void on_peer_in_room(struct wzp_race *race, uint64_t now_us, struct wzp_race_effects *out)
{
    race->peer_in_room = true;
    if (race->config.kind == WZP_RACE_OWN) /* its leg is held for a moment as ours is */
        return;
    if (race->state == WZP_RACE_DIRECT) /* it joins only when it has chosen the relay */
        to_relay(race, 0, now_us, out);
    else if (race->state == WZP_RACE_RELAY) {
        close_links_but(race, 0, out);
        race->chosen = 0;
    }
}

static void on_media(struct wzp_race *race, uint64_t now_us)
{
    if (race->state != WZP_RACE_DIRECT)
        return;
    race->seen_us = now_us;
    if (race->config.kind != WZP_RACE_OWN)
        race->peer_shown = true;
}

/** A reference peer sends media only where both have agreed: its report is late or lost. Whoever comes from elsewhere could
 *  send too, so an address that was not announced counts only on the connection we chose ourselves. Our own kind says so
 *  on the connection, and what comes before that is nobody's. */
static void on_link_media(struct wzp_race *race, const struct wzp_race_link *link, uint64_t now_us,
                          struct wzp_race_effects *out)
{
    if (race->config.kind == WZP_RACE_OWN || (link->id != race->chosen && !link->is_announced))
        return;
    if (race->state == WZP_RACE_AGREEING) {
        to_direct(race, link->id, true, now_us, out);
    } else if (race->state == WZP_RACE_RELAY && link->id == race->chosen && !race->peer_in_room) {
        to_direct(race, link->id, true, now_us, out);
        race->relay_held = false; /* in doubt, keep it */
    }
}

static void handle(struct wzp_race *race, const struct wzp_race_event *event, uint64_t now_us,
                   struct wzp_race_effects *out)
{
    struct wzp_race_link *link = find_link(race, event->link);
    switch (event->kind) {
    case WZP_RACE_LINK_UP:
        if (link && !link->is_up)
            on_link_up(race, link, event->is_announced, now_us, out);
        break;
    case WZP_RACE_LINK_VERIFIED:
        if (link && link->is_up)
            on_verified(race, link, event->nominates, now_us, out);
        break;
    case WZP_RACE_LINK_REPORT:
        if (link && link->is_up)
            on_link_report(race, link, event->ok, now_us, out);
        break;
    case WZP_RACE_LINK_SEEN:
        if (link)
            on_link_seen(race, link, now_us);
        break;
    case WZP_RACE_LINK_DOWN:
        if (link)
            on_link_down(race, link, now_us, out);
        break;
    case WZP_RACE_PEER_REPORT:
        on_peer_report(race, event->ok, now_us, out);
        break;
    case WZP_RACE_PEER_IN_ROOM:
        on_peer_in_room(race, now_us, out);
        break;
    case WZP_RACE_MEDIA:
        on_media(race, now_us);
        break;
    case WZP_RACE_LINK_MEDIA:
        if (link && link->is_up)
            on_link_media(race, link, now_us, out);
        break;
    case WZP_RACE_RELAY_UP:
        race->relay_up = true;
        break;
    case WZP_RACE_RELAY_DOWN:
        race->relay_up = race->peer_in_room = false;
        break;
    }
}

/* ---- what follows from the state ---- */

static enum wzp_race_path wanted_path(const struct wzp_race *race, uint64_t now_us)
{
    const enum wzp_race_path relay = race->relay_up ? WZP_RACE_PATH_RELAY : WZP_RACE_PATH_NONE;
    switch (race->state) {
    case WZP_RACE_DIRECT:
        return WZP_RACE_PATH_DIRECT;
    case WZP_RACE_RELAY:
        return relay;
    case WZP_RACE_RACING:
        if (race->config.kind == WZP_RACE_OWN && now_us >= race->start_us + ms(WZP_RACE_RELAY_AFTER_MS))
            return relay;
        break;
    case WZP_RACE_NOMINATED:
    case WZP_RACE_AGREEING:
        break;
    }
    return race->path == WZP_RACE_PATH_RELAY ? relay : WZP_RACE_PATH_NONE; /* what runs goes on */
}

static uint64_t hold_until_us(const struct wzp_race *race)
{
    if (race->peer_shown)
        return race->state_us;
    return race->config.kind == WZP_RACE_OWN ? race->state_us + ms(WZP_RACE_RELAY_HOLD_MS) : NEVER;
}

/** When the acceptor's next knock is due. It stops when somebody came in. */
static uint64_t knock_us(const struct wzp_race *race)
{
    static const unsigned at_ms[WZP_RACE_KNOCKS] = { 0, WZP_RACE_KNOCK_SECOND_MS, WZP_RACE_KNOCK_THIRD_MS };
    const bool may = race->config.kind == WZP_RACE_ACCEPTOR && race->state == WZP_RACE_RACING;
    return may && race->knocks < WZP_RACE_KNOCKS ? race->start_us + ms(at_ms[race->knocks]) : NEVER;
}

static void settle(struct wzp_race *race, uint64_t now_us, struct wzp_race_effects *out)
{
    static const enum wzp_race_effect_kind use[] = {
        [WZP_RACE_PATH_NONE] = WZP_RACE_USE_NONE,
        [WZP_RACE_PATH_RELAY] = WZP_RACE_USE_RELAY,
        [WZP_RACE_PATH_DIRECT] = WZP_RACE_USE_DIRECT,
    };
    const bool is_direct = race->state == WZP_RACE_DIRECT;
    const enum wzp_race_path path = wanted_path(race, now_us);
    if (path != race->path) {
        race->path = path;
        push(out, use[path], path == WZP_RACE_PATH_DIRECT ? race->chosen : 0, false);
    }
    if (is_direct && race->probe_us <= now_us) {
        race->probe_us = now_us + ms(WZP_RACE_PROBE_MS);
        push(out, WZP_RACE_PROBE, race->chosen, false);
    }
    if (is_direct && race->relay_held && hold_until_us(race) <= now_us) {
        race->relay_held = race->relay_up = false;
        push(out, WZP_RACE_DROP_RELAY, 0, false);
    }
    if (knock_us(race) <= now_us) {
        push(out, WZP_RACE_KNOCK, 0, false);
        while (knock_us(race) <= now_us) /* those that were missed are not made up for */
            race->knocks++;
    }
    if (race->report_us <= now_us) {
        const uint64_t second_us = race->start_us + ms(WZP_RACE_REPORT_SECOND_MS);
        race->report_us = race->report_us < second_us ? second_us : NEVER;
        push(out, WZP_RACE_TELL_PEER, 0, is_direct || race->state == WZP_RACE_AGREEING);
    }
}

void wzp_race_start(struct wzp_race *race, const struct wzp_race_config *config, uint64_t now_us)
{
    *race = (struct wzp_race){
        .config = *config,
        .path = race->path,
        .relay_up = race->relay_up,
        .peer_in_room = race->peer_in_room,
        .start_us = now_us,
        .report_us = NEVER,
        .probe_us = NEVER,
    };
    enter(race, config->kind == WZP_RACE_NONE ? WZP_RACE_RELAY : WZP_RACE_RACING, 0, now_us);
    if (config->kind == WZP_RACE_NONE)
        decide(race, now_us);
}

void wzp_race_step(struct wzp_race *race, const struct wzp_race_event *event, uint64_t now_us,
                   struct wzp_race_effects *ret)
{
    ret->count = 0;
    handle(race, event, now_us, ret);
    settle(race, now_us, ret);
}

/* ---- time ---- */

/** When this link's patience ends; NEVER: it has none to lose. */
static uint64_t link_deadline_us(const struct wzp_race *race, const struct wzp_race_link *link)
{
    if (link->id == 0 || !link->is_up)
        return NEVER;
    if (race->config.kind == WZP_RACE_OWN)
        return link->is_verified ? NEVER : link->up_us + ms(WZP_RACE_HELLO_MS);
    const bool waits = race->config.kind == WZP_RACE_ACCEPTOR && race->state == WZP_RACE_RACING;
    return waits ? link->up_us + ms(WZP_RACE_STRANGER_MS) : NEVER;
}

/** When the state ends of itself. */
static uint64_t state_deadline_us(const struct wzp_race *race)
{
    switch (race->state) {
    case WZP_RACE_RACING:
        return racing_ends_us(race);
    case WZP_RACE_NOMINATED:
        return race->state_us + ms(WZP_RACE_CONFIRM_MS);
    case WZP_RACE_AGREEING:
        return race->state_us + ms(WZP_RACE_AGREE_MS);
    case WZP_RACE_DIRECT:
        if (race->config.kind == WZP_RACE_OWN)
            return race->seen_us + ms(WZP_RACE_DEAD_MS);
        return race->peer_shown ? race->seen_us + ms(WZP_RACE_SILENT_MS) : race->state_us + ms(WZP_RACE_NO_MEDIA_MS);
    case WZP_RACE_RELAY:
        break;
    }
    return NEVER;
}

static void state_is_over(struct wzp_race *race, uint64_t now_us, struct wzp_race_effects *out)
{
    struct wzp_race_link *chosen = find_link(race, race->chosen);
    switch (race->state) {
    case WZP_RACE_NOMINATED:
        if (chosen)
            close_link(chosen, out);
        nominate_next(race, now_us, out);
        break;
    case WZP_RACE_DIRECT: /* a reference peer that is silent may still speak there */
        to_relay(race, race->config.kind == WZP_RACE_OWN ? 0 : race->chosen, now_us, out);
        break;
    case WZP_RACE_AGREEING: /* our report may have reached it, and only its own got lost */
        to_relay(race, race->peer_in_room ? 0 : race->chosen, now_us, out);
        break;
    case WZP_RACE_RACING:
        to_relay(race, 0, now_us, out);
        break;
    case WZP_RACE_RELAY:
        break;
    }
}

void wzp_race_tick(struct wzp_race *race, uint64_t now_us, struct wzp_race_effects *ret)
{
    ret->count = 0;
    for (size_t i = 0; i < WZP_RACE_MAX_LINKS; i++) {
        struct wzp_race_link *link = &race->link[i];
        if (link_deadline_us(race, link) > now_us)
            continue;
        if (race->config.kind == WZP_RACE_OWN)
            close_link(link, ret);
        else
            agree(race, link->id, now_us, ret); /* nobody better came */
    }
    if (state_deadline_us(race) <= now_us)
        state_is_over(race, now_us, ret);
    settle(race, now_us, ret);
}

uint64_t wzp_race_deadline_us(const struct wzp_race *race)
{
    uint64_t first = min_us(min_us(race->report_us, knock_us(race)), state_deadline_us(race));
    for (size_t i = 0; i < WZP_RACE_MAX_LINKS; i++)
        first = min_us(first, link_deadline_us(race, &race->link[i]));
    if (race->state == WZP_RACE_DIRECT) {
        first = min_us(first, race->probe_us);
        return race->relay_held ? min_us(first, hold_until_us(race)) : first;
    }
    if (race->state == WZP_RACE_RACING && race->config.kind == WZP_RACE_OWN && race->relay_up &&
        race->path == WZP_RACE_PATH_NONE)
        first = min_us(first, race->start_us + ms(WZP_RACE_RELAY_AFTER_MS));
    return first;
}

/* ---- questions ---- */

bool wzp_race_accepts(const struct wzp_race *race)
{
    const bool may = race->config.kind == WZP_RACE_OWN || race->config.kind == WZP_RACE_ACCEPTOR;
    return may && race->state != WZP_RACE_DIRECT && race->state != WZP_RACE_RELAY &&
           count_links(race, true) < WZP_RACE_MAX_INBOUND;
}

bool wzp_race_is_direct(const struct wzp_race *race)
{
    return race->state == WZP_RACE_DIRECT;
}

bool wzp_race_is_open(const struct wzp_race *race)
{
    return race->state != WZP_RACE_DIRECT && race->state != WZP_RACE_RELAY;
}

uint64_t wzp_race_direct_link(const struct wzp_race *race)
{
    return race->state == WZP_RACE_DIRECT ? race->chosen : 0;
}
