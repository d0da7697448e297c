// SPDX-License-Identifier: Apache-2.0
/* How clients of the JSON-RPC server come in: listening sockets, Unix ones with all that belongs to
 * them. */
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/jsonrpc_server_internal.h"

#define BACKLOG 128
/* Strangers that are let in before everybody else gets a turn, and how long that is. */
#define STRANGERS 32
#define STRANGERS_PAUSE_US 5000

struct jsonrpc_listener {
	LIST_ENTRY(jsonrpc_listener) link;
	struct jsonrpc_server *server;
	struct evconnlistener *accepter;
	struct event *retry; /* after an accept() that failed */
	struct log_limit limit_log;
	struct jsonrpc_door *door; /* NULL: no TLS */
	unsigned strangers;        /* since the last pause */
	char *path;                /* NULL: not ours to remove */
	dev_t dev;                 /* what it was when we made it: */
	ino_t ino;                 /* a successor's socket is not removed */
};

static void listener_free(struct jsonrpc_listener *l)
{
	struct stat st;

	if (l->accepter != NULL)
		evconnlistener_free(l->accepter);
	if (l->retry != NULL)
		event_free(l->retry);
	jsonrpc_door_free(l->door);
	if (l->path != NULL && lstat(l->path, &st) == 0 && st.st_dev == l->dev &&
		st.st_ino == l->ino)
		unlink(l->path);
	free(l->path);
	LIST_REMOVE(l, link);
	free(l);
}

void jsonrpc_listeners_free(struct jsonrpc_server *server)
{
	while (!LIST_EMPTY(&server->listeners))
		listener_free(LIST_FIRST(&server->listeners));
}

/* libevent accepts until nobody waits any more, which may be never. */
static void let_in(struct jsonrpc_listener *l, int fd, const struct sockaddr *address)
{
	struct timeval pause = {.tv_usec = STRANGERS_PAUSE_US};

	jsonrpc_door_accept(l->door, fd, address);
	if (++l->strangers < STRANGERS)
		return;
	l->strangers = 0;
	evconnlistener_disable(l->accepter);
	event_add(l->retry, &pause);
}

static void on_accept(struct evconnlistener *accepter, evutil_socket_t fd, struct sockaddr *address,
	int len, void *arg)
{
	struct jsonrpc_listener *l = arg;
	struct bufferevent *bev;

	(void)accepter;
	(void)len;
	if (l->door != NULL) {
		let_in(l, fd, address);
		return;
	}
	bev = bufferevent_socket_new(l->server->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		evutil_closesocket(fd);
		return;
	}
	jsonrpc_server_adopt(l->server, bev, NULL);
}

/* Out of descriptors, most likely: the client stays in the backlog; looking again at once would
 * spin. */
static void on_accept_error(struct evconnlistener *accepter, void *arg)
{
	struct jsonrpc_listener *l = arg;
	struct timeval second = {.tv_sec = 1};

	log_error_limited(&l->limit_log, "cannot accept a client", LOG_ERRNO(errno));
	evconnlistener_disable(accepter);
	event_add(l->retry, &second);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct jsonrpc_listener *l = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(l->accepter);
}

/* Takes fd, also on failure. */
static struct jsonrpc_listener *listener_new(struct jsonrpc_server *server, int fd)
{
	struct jsonrpc_listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		close(fd);
		return NULL;
	}
	l->server = server;
	l->limit_log = (struct log_limit)LOG_LIMIT(5, 60);
	LIST_INSERT_HEAD(&server->listeners, l, link);
	l->retry = evtimer_new(server->base, on_retry, l);
	l->accepter = evconnlistener_new(
		server->base, on_accept, l, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (l->accepter == NULL) {
		close(fd);
		listener_free(l);
		return NULL;
	}
	evconnlistener_set_error_cb(l->accepter, on_accept_error);
	return l;
}

int jsonrpc_server_listen_fd(struct jsonrpc_server *server, int fd)
{
	return listener_new(server, fd) != NULL ? 0 : -ENOMEM;
}

static int make_parents(const char *path)
{
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* May a socket be put at the path? A living server and files of other kinds stay. */
static int check_path(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, error;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	error = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
	close(fd);
	return error == ECONNREFUSED || error == ENOENT ? 0 : -EADDRINUSE;
}

/* Who may connect: the owner and the group `vpc`, where there is one and we may give it. */
static int set_access(const char *path)
{
	const struct group *group = getgrnam(JSONRPC_GROUP);

	if (group != NULL && lchown(path, (uid_t)-1, group->gr_gid) < 0)
		log_warn("cannot give the socket to its group", LOG_STR("path", path),
			LOG_STR("group", JSONRPC_GROUP), LOG_ERRNO(errno));
	return chmod(path, 0660) < 0 ? -errno : 0;
}

/*
 * Binds under a name of its own and renames: nobody finds a socket with the wrong mode or one that
 * refuses. Returns the descriptor or -errno.
 */
static int bind_unix(const struct sockaddr_un *address)
{
	struct sockaddr_un temporary = {.sun_family = AF_UNIX};
	int fd, error;

	if ((size_t)snprintf(temporary.sun_path, sizeof(temporary.sun_path), "%s.%d",
		    address->sun_path, (int)getpid()) >= sizeof(temporary.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(temporary.sun_path);
	error = bind(fd, (struct sockaddr *)&temporary, sizeof(temporary)) < 0 ? -errno : 0;
	if (error == 0)
		error = set_access(temporary.sun_path);
	if (error == 0 && listen(fd, BACKLOG) < 0)
		error = -errno;
	if (error == 0 && rename(temporary.sun_path, address->sun_path) < 0)
		error = -errno;
	if (error < 0) {
		unlink(temporary.sun_path);
		close(fd);
		return error;
	}
	return fd;
}

static int listen_unix(struct jsonrpc_server *server, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct jsonrpc_listener *l;
	struct stat st;
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	error = make_parents(path);
	if (error == 0)
		error = check_path(&address);
	if (error < 0)
		return error;
	fd = bind_unix(&address);
	if (fd < 0)
		return fd;
	l = listener_new(server, fd);
	if (l == NULL) {
		unlink(path);
		return -ENOMEM;
	}
	if (lstat(path, &st) == 0) {
		l->path = strdup(path);
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	return 0;
}

int jsonrpc_server_listen_unix(struct jsonrpc_server *server, const char *path)
{
	int error = listen_unix(server, path);

	if (error < 0)
		log_error("cannot listen", LOG_STR("path", path), LOG_ERRNO(error));
	else
		log_info("listening", LOG_STR("path", path));
	return error;
}

/* Returns the descriptor or -errno. */
static int bind_tcp(const struct sockaddr_storage *address, socklen_t len)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, error = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)address, len) < 0 || listen(fd, BACKLOG) < 0)
		error = -errno;
	if (error < 0)
		close(fd);
	return error < 0 ? error : fd;
}

static int listen_tls(struct jsonrpc_server *server, const char *address, struct tls *tls,
	const char *const *clients)
{
	struct sockaddr_storage at;
	struct jsonrpc_listener *l;
	socklen_t len;
	int fd, error;

	error = jsonrpc_address(address, &at, &len);
	if (error < 0)
		return error;
	fd = bind_tcp(&at, len);
	if (fd < 0)
		return fd;
	l = listener_new(server, fd);
	if (l == NULL)
		return -ENOMEM;
	l->door = jsonrpc_door_new(server, tls, clients);
	if (l->door == NULL) {
		listener_free(l);
		return -ENOMEM;
	}
	return 0;
}

int jsonrpc_server_listen_tls(struct jsonrpc_server *server, const char *address, struct tls *tls,
	const char *const *clients)
{
	int error = listen_tls(server, address, tls, clients);

	if (error < 0)
		log_error("cannot listen", LOG_STR("address", address), LOG_ERRNO(error));
	else
		log_info("listening", LOG_STR("address", address));
	return error;
}
