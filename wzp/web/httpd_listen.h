/* Opening the sockets of httpd.c; nobody else includes this. */
#ifndef WZP_WEB_HTTPD_LISTEN_H
#define WZP_WEB_HTTPD_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "wzp/base/addr.h"

/** The socket file we made, remembered so that only that one is removed. */
struct wz_httpd_socket_file {
    char path[108]; /**< sizeof sun_path */
    dev_t device;
    ino_t inode;
    bool made;
};

/** Mode 0600 from the first moment. Replaces a socket nobody listens on. Errors as wz_httpd_new() says. */
int wz_httpd_listen_unix(const char *path, struct wz_httpd_socket_file *ret_file, int *ret_fd);
int wz_httpd_listen_tcp(const struct wz_addr *addr, int *ret_fd, struct wz_addr *ret_local);
void wz_httpd_close(int fd);
/** Unless somebody has replaced it meanwhile. Twice is harmless. */
void wz_httpd_remove_file(struct wz_httpd_socket_file *file);

#endif
