/* Life of a signal: what it owns and how that is freed. */
#include <errno.h>
#include <stdlib.h>

#include <jansson.h>

#include "wzp/core/signal_table.h"

static void free_texts(char **text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(text[i]);
}

static void free_participants(struct wzp_participant *participant, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wzp_fields_free(wzp_participant_fields, &participant[i]);
    free(participant);
}

void wzp_fields_free(struct wzp_fields fields, void *object)
{
    for (size_t i = 0; i < fields.count; i++) {
        const struct wzp_field *row = &fields.row[i];
        switch (row->type) {
        case WZP_FIELD_TEXT:
            free(*WZP_MEMBER(object, row->offset, char *));
            break;
        case WZP_FIELD_ADDRS: {
            struct wzp_addr_list *list = WZP_MEMBER(object, row->offset, struct wzp_addr_list);
            free_texts(list->text, list->count);
            break;
        }
        case WZP_FIELD_TEXTS: {
            char **text = *WZP_MEMBER(object, row->offset, char **);
            free_texts(text, *WZP_MEMBER(object, row->extra, size_t));
            free(text);
            break;
        }
        case WZP_FIELD_PARTICIPANTS:
            free_participants(*WZP_MEMBER(object, row->offset, struct wzp_participant *),
                              *WZP_MEMBER(object, row->extra, size_t));
            break;
        case WZP_FIELD_SIGNAL: {
            struct wzp_signal *inner = *WZP_MEMBER(object, row->offset, struct wzp_signal *);
            wzp_signal_done(inner);
            free(inner);
            break;
        }
        default:
            break; /* plain data */
        }
    }
}

void wzp_signal_done(struct wzp_signal *sig)
{
    if (!sig)
        return;
    if (sig->kind == WZP_SIG_UNKNOWN)
        free(sig->unknown.name);
    else
        wzp_fields_free(wzp_variants[sig->kind].fields, sig);
    json_decref(sig->origin);
    *sig = (struct wzp_signal){ 0 };
}

int wzp_signal_set_text(char **field, const char *text)
{
    char *copy = NULL;

    if (text && !(copy = strdup(text)))
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}
