#include "gateway/selftest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ice/selfcheck.h"
#include "sip/selfcheck.h"
#include "wzp/io/quic_selfcheck.h"

int gw_selftest(void)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } check[] = {
        { "two ICE agents find each other (libnice is linked before sofia-sip)", wice_selfcheck },
        { "a sofia timer fires on a private GMainContext", sipua_selfcheck },
        { "a QUIC server accepts the name _signal", wzp_quic_selfcheck },
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof check / sizeof check[0]; i++) {
        int err = check[i].run();
        (void)printf("%s %s%s%s\n", err ? "FAIL" : "ok  ", check[i].name, err ? ": " : "", err ? strerror(-err) : "");
        failed += err != 0;
    }
    return failed ? 1 : 0;
}
