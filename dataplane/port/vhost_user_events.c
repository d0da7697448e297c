/* SPDX-License-Identifier: Apache-2.0 */
/* What librte_vhost tells of peers and their devices; see the threads in vhost_user.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "core/rcu.h"
#include "port/vhost_user.h"

#define GRACE_POLL_NS 20000

/* The protocol's message for "how many pairs of queues may I use?" and its answer. librte_vhost has no other way to limit them. */
#define GET_QUEUE_NUM 17
struct message {
	uint32_t request, flags, size;
	uint64_t value;
} __attribute__((packed));

pthread_mutex_t vhost_user_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vhost_user *list; /* under the lock */

/* --- under the lock --- */

static struct vhost_user *by_path(const char *path)
{
	struct vhost_user *v = list;

	while (v != NULL && strcmp(v->path, path) != 0)
		v = v->next;
	return v;
}

static struct vhost_user_conn *by_vid(int vid, struct vhost_user **v)
{
	for (*v = list; *v != NULL; *v = (*v)->next)
		for (unsigned int i = 0; i < VHOST_USER_CONNS; i++)
			if ((*v)->conns[i].vid == vid)
				return &(*v)->conns[i];
	return NULL;
}

static void drop_kick(const struct vhost_user *v, struct vhost_user_conn *c, unsigned int pair)
{
	int *kick = &c->pairs[pair].kick;

	if (*kick < 0)
		return;
	epoll_ctl(v->epoll_fds[pair], EPOLL_CTL_DEL, *kick, NULL);
	close(*kick);
	*kick = -1;
}

/* The guest's eventfd is copied: librte_vhost closes its own when the peer sends another, and as the peer holds it too, the epoll
 * set would keep it. Edge-triggered: each write is an event, nobody reads it. */
static void take_kick(
	const struct vhost_user *v, struct vhost_user_conn *c, int vid, unsigned int pair)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	struct rte_vhost_vring ring;
	int kick;

	drop_kick(v, c, pair);
	if (rte_vhost_get_vhost_vring(vid, VHOST_USER_RING_FROM_GUEST(pair), &ring) < 0 ||
		ring.kickfd < 0)
		return;
	kick = fcntl(ring.kickfd, F_DUPFD_CLOEXEC, 0);
	if (kick >= 0)
		epoll_ctl(v->epoll_fds[pair], EPOLL_CTL_ADD, kick, &e);
	c->pairs[pair].kick = kick;
}

static void clear_conn(const struct vhost_user *v, struct vhost_user_conn *c)
{
	for (unsigned int pair = 0; pair < VHOST_USER_PAIRS_MAX; pair++)
		drop_kick(v, c, pair);
	c->from_guest = 0;
	c->to_guest = 0;
	c->ready = false;
	c->vid = -1;
}

/* --- on librte_vhost's thread --- */

static enum rte_vhost_msg_result answer_queue_num(int vid, void *msg)
{
	struct message *m = msg;
	struct vhost_user *v;
	bool known;

	if (m->request != GET_QUEUE_NUM)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	pthread_mutex_lock(&vhost_user_lock);
	known = by_vid(vid, &v) != NULL;
	if (known) {
		m->value = v->n_pairs;
		m->size = sizeof(m->value);
	}
	pthread_mutex_unlock(&vhost_user_lock);
	return known ? RTE_VHOST_MSG_RESULT_REPLY : RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct rte_vhost_user_extern_ops extern_ops = {.pre_msg_handle = answer_queue_num};

static int new_connection(int vid)
{
	char path[sizeof(((struct vhost_user *)0)->path)];
	struct vhost_user_conn *c = NULL;
	struct vhost_user *v;

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) < 0)
		return -1;
	pthread_mutex_lock(&vhost_user_lock);
	v = by_path(path);
	for (unsigned int i = 0; v != NULL && i < VHOST_USER_CONNS && c == NULL; i++)
		if (v->conns[i].vid < 0)
			c = &v->conns[i];
	if (c != NULL)
		c->vid = vid;
	pthread_mutex_unlock(&vhost_user_lock);
	if (c == NULL)
		return -1;
	port_links_look();
	return rte_vhost_extern_callback_register(vid, &extern_ops, NULL);
}

/* 1: workers may use it; 0; -1: nobody's. */
static int set_ready(int vid, bool ready)
{
	struct vhost_user_conn *c;
	struct vhost_user *v;
	bool used = false;

	pthread_mutex_lock(&vhost_user_lock);
	c = by_vid(vid, &v);
	if (c != NULL) {
		c->ready = ready;
		used = atomic_load(&v->active) == c;
		if (used && !ready)
			rcu_ptr_set(v->active, NULL);
	}
	pthread_mutex_unlock(&vhost_user_lock);
	return c == NULL ? -1 : used;
}

static int new_device(int vid)
{
	int rc = set_ready(vid, true);

	port_links_look();
	return rc < 0 ? -1 : 0;
}

/* The driver stopped or the peer is gone; the latter is told next (destroy_connection), and only then the port's state is looked at. */
static void destroy_device(int vid)
{
	const struct timespec pause = {.tv_nsec = GRACE_POLL_NS};
	uint64_t token;

	if (set_ready(vid, false) <= 0)
		return;
	/* Workers that saw it are done with it before the memory of rings and device goes. */
	token = rcu_token();
	while (!rcu_token_passed(token))
		nanosleep(&pause, NULL);
}

static void destroy_connection(int vid)
{
	struct vhost_user_conn *c;
	struct vhost_user *v;

	pthread_mutex_lock(&vhost_user_lock);
	c = by_vid(vid, &v);
	if (c != NULL)
		clear_conn(v, c);
	pthread_mutex_unlock(&vhost_user_lock);
	port_links_look();
}

static void set_bit(_Atomic uint32_t *mask, unsigned int bit, bool on)
{
	if (on)
		atomic_fetch_or(mask, 1u << bit);
	else
		atomic_fetch_and(mask, ~(1u << bit));
}

static int vring_state_changed(int vid, uint16_t ring, int enable)
{
	unsigned int pair = ring / 2;
	struct vhost_user_conn *c;
	struct vhost_user *v;

	pthread_mutex_lock(&vhost_user_lock);
	c = by_vid(vid, &v);
	if (c == NULL) {
	} else if (pair >= v->n_pairs) {
		/* It was told how many there are: the others are not served. */
	} else if (ring == VHOST_USER_RING_TO_GUEST(pair)) {
		set_bit(&c->to_guest, pair, enable);
	} else {
		if (enable)
			take_kick(v, c, vid, pair);
		else
			drop_kick(v, c, pair);
		set_bit(&c->from_guest, pair, enable);
		/* Whether the guest tells of this ring's frames is set when the worker rests. */
		vhost_user_wake(v);
	}
	pthread_mutex_unlock(&vhost_user_lock);
	return 0;
}

const struct rte_vhost_device_ops vhost_user_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
};

/* --- control thread --- */

void vhost_user_wake(const struct vhost_user *v)
{
	eventfd_write(v->wake_fd, 1);
}

int vhost_user_note(struct vhost_user *v)
{
	int rc = -EADDRINUSE;

	pthread_mutex_lock(&vhost_user_lock);
	if (by_path(v->path) == NULL) {
		v->next = list;
		list = v;
		rc = 0;
	}
	pthread_mutex_unlock(&vhost_user_lock);
	return rc;
}

void vhost_user_forget(struct vhost_user *v)
{
	struct vhost_user **link = &list;

	pthread_mutex_lock(&vhost_user_lock);
	while (*link != v)
		link = &(*link)->next;
	*link = v->next;
	for (unsigned int i = 0; i < VHOST_USER_CONNS; i++)
		clear_conn(v, &v->conns[i]);
	pthread_mutex_unlock(&vhost_user_lock);
}
