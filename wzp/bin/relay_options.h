/* The command line of wzp-relay. Thread: main's (getopt). */
#ifndef WZP_BIN_RELAY_OPTIONS_H
#define WZP_BIN_RELAY_OPTIONS_H

#include "wzp/bin/relay_settings.h"

/**
 * Read the command line on top of what settings holds. May be called again.
 *
 * @param ret_config  The file named by --config, borrowed from argv; NULL: none.
 * @return            0; 1 when all was said (--help, --version); -EINVAL after saying what is wrong; -ENOMEM.
 */
int relay_options_parse(int argc, char **argv, struct relay_settings *settings, const char **ret_config);

#endif
