/* The configuration that a first start writes; config/example.yaml is the same text, and a test compares
 * them. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** 20 characters of 32: 100 bits, and short enough to type into a phone. */
#define PASSWORD_LEN 20

static const char template[] =
    "# wzp-gateway configuration. Check it with: wzp-gateway --check-config --config FILE\n"
    "# Every setting with its range and default: wzp-gateway --help-config\n"
    "# What is left out has the value shown after #.\n"
    "\n"
    "# SIP phones and softphones register with one of these names and passwords.\n"
    "# A password may also be env:NAME or file:PATH.\n"
    "users:\n"
    "  - name: alice\n"
    "    password: \"%s\"\n"
    "    number: \"1001\"\n"
    "    alias: alice\n"
    "    display_name: Alice\n"
    "    # privacy: trusted         # generic: media always takes the relay, addresses stay private\n"
    "    # digest: md5              # md5, sha256, both\n"
    "    # max_calls: 5\n"
    "  - name: bob\n"
    "    password: \"%s\"\n"
    "    number: \"1002\"\n"
    "    alias: bob\n"
    "    display_name: Bob\n"
    "\n"
    "# WZP users elsewhere that phones can dial by number or alias. A full fingerprint can always be "
    "dialled.\n"
    "directory: []\n"
    "#  - alias: carol\n"
    "#    number: \"2001\"\n"
    "#    fingerprint: 0123:4567:89ab:cdef:0123:4567:89ab:cdef\n"
    "\n"
    "sip:\n"
    "  listen: 0.0.0.0:5060\n"
    "  # public_address: none       # the address phones see, behind NAT or in a container\n"
    "  # realm: wzp\n"
    "  # ring_timeout: 60           # seconds\n"
    "\n"
    "media:\n"
    "  ports_first: 10000\n"
    "  ports_last: 10063\n"
    "  # public_address: none\n"
    "  # profile: good              # studio-32k, -48k, -64k, opus16k, opus6k, codec2-3200, codec2-1200\n"
    "  # adaptive: yes              # send less while the path loses or is congested; no; reference\n"
    "  # suppress_silence: no       # yes: comfort noise while a phone is silent\n"
    "\n"
    "relay:\n"
    "  embedded: yes\n"
    "  listen: 0.0.0.0:4433\n"
    "  # connect: relay.example.org:4433   # use another relay; then remove embedded\n"
    "  # public_address: none              # what callers are told, behind NAT or in a container\n"
    "  # stun: [stun.example.org:3478]     # learn our public address for direct paths\n"
    "  # share_local_addrs: yes\n"
    "  # direct: yes                       # no: media always takes the relay\n"
    "  # strict: no                        # yes: signed calls only, and the relay must stay who it was\n"
    "\n"
    "# Dialling this number reaches a WZP user inside the gateway that plays back what it hears.\n"
    "echo:\n"
    "  enabled: yes\n"
    "  number: \"*43\"\n"
    "\n"
    "# Seeds, database and control socket live here.\n"
    "# data_dir: wzp-data\n"
    "\n"
    "# log:\n"
    "#   level: info                # error, warn, info, debug\n"
    "#   format: auto               # auto, text, json\n"
    "\n"
    "# admin:\n"
    "#   http: none                 # 127.0.0.1:9090 serves /healthz and /metrics\n";

char *cfg_example_text(const char *alice_password, const char *bob_password)
{
    size_t size = sizeof template + strlen(alice_password) + strlen(bob_password);
    char *text = malloc(size);

    if (text)
        (void)snprintf(text, size, template, alice_password, bob_password);
    return text;
}

static void make_password(const struct wz_rng *rng, char out[static PASSWORD_LEN + 1])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* 32, none easily confused */

    _Static_assert(sizeof letters - 1 == 32, "a byte modulo the count must be uniform");
    for (size_t i = 0; i < PASSWORD_LEN; i++) {
        uint8_t byte;
        wz_rng_fill(rng, &byte, 1);
        out[i] = letters[byte % (sizeof letters - 1)];
    }
    out[PASSWORD_LEN] = '\0';
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        len -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

int cfg_write_example(const char *path, const struct wz_rng *rng)
{
    char alice[PASSWORD_LEN + 1];
    char bob[PASSWORD_LEN + 1];
    char *text;
    int err = -ENOMEM;
    int fd;

    make_password(rng, alice);
    make_password(rng, bob);
    text = cfg_example_text(alice, bob);
    if (!text)
        return -ENOMEM;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        err = -errno;
    } else {
        err = write_all(fd, text, strlen(text));
        if (close(fd) < 0 && !err)
            err = -errno;
        if (err)
            (void)unlink(path); /* half a file would be used as it is next time */
    }
    free(text);
    return err;
}
