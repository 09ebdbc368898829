/* The operator's door: answers what wzpctl and the admin API ask, on the control thread. */
#ifndef GATEWAY_CONTROL_H
#define GATEWAY_CONTROL_H

struct gw_app;

/** Open the Unix socket (and the HTTP port, if configured). error: GW_APP_ERROR_MAX bytes. */
int gw_control_open(struct gw_app *app, char *error);
void gw_control_close(struct gw_app *app);

#endif
