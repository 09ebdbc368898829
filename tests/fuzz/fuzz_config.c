/* Configuration text: no crash, every refusal has a reason with a place, and what was accepted prints to a
 * text that is accepted again and prints the same. References to secrets are not followed. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_mistakes(const struct cfg_mistakes *mistakes)
{
    require(mistakes->count > 0);
    for (size_t i = 0; i < mistakes->count; i++) {
        const struct cfg_mistake *m = &mistakes->item[i];
        require(m->line >= 1 && m->col >= 1 && m->text[0] != '\0');
        require(i == 0 || mistakes->item[i - 1].line <= m->line);
    }
}

/** Hidden values of a fixed length cannot be read back. */
static bool has_hex_secret(const struct cfg *cfg)
{
    for (size_t i = 0; i < cfg->users.count; i++)
        if (cfg->users.item[i].ha1 || cfg->users.item[i].seed.is_given)
            return true;
    return false;
}

static void check_round_trip(const struct cfg *cfg)
{
    char *first = cfg_to_text(cfg);
    char *second;
    struct cfg *again = NULL;
    struct cfg_mistakes mistakes;

    require(first != NULL);
    if (!has_hex_secret(cfg)) {
        require(cfg_parse(wz_bytes_str(first), NULL, &again, &mistakes) == 0);
        second = cfg_to_text(again);
        require(second && strcmp(first, second) == 0);
        free(second);
        cfg_free(again);
        cfg_mistakes_done(&mistakes);
    }
    free(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cfg *cfg = NULL;
    struct cfg_mistakes mistakes;
    int err = cfg_parse(wz_bytes(data, size), NULL, &cfg, &mistakes);

    if (err) {
        require(!cfg);
        check_mistakes(&mistakes);
    } else {
        check_round_trip(cfg);
    }
    cfg_free(cfg);
    cfg_mistakes_done(&mistakes);
    return 0;
}
