/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_log/flow_sink.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "flow_log/flow_json.h"
#include "flow_log/flow_link.h"
#include "flow_log/ipfix.h"
#include "lib/log.h"

/* About six megabytes, of which is used what has ever waited. */
#define QUEUE_SIZE 16384u
#define BATCH 32u
/* Records wait so long for others, to share a message with them. */
#define GATHER_MS 200u
/* A collector that is away is asked again after so long, later less often. */
#define RETRY_MIN_MS 200u
#define RETRY_MAX_MS 5000u
#define LOOK_MS 1000u
#define LINES_MAX (16u << 10)

struct flow_tally {
	_Atomic uint32_t references;
	_Atomic uint64_t records, lost;
};

struct flow_sink {
	pthread_mutex_t lock; /* of the queue, `closed_ms`, `away` and `reason` */
	pthread_cond_t filled;
	struct flow_record *queue;
	unsigned int head, count;
	int64_t closed_ms; /* 0: open */
	bool away;         /* the collector took nothing when it was last tried */
	bool awaited;      /* under closing_lock: counted in `closing` */
	char reason[128];
	struct flow_tally *tally;
	_Atomic uint32_t sample;
	/* The thread's. */
	char log[FLOW_NAME_MAX], node[FLOW_NAME_MAX];
	bool json;
	bool found; /* its file has been there */
	struct flow_link link;
	struct ipfix_writer ipfix;
	struct flow_json lines;
	struct flow_record batch[BATCH];
	unsigned int n_batch;
	int64_t templates_ms, retry_ms;
	uint32_t templates_period_ms;
	uint32_t delay_ms;
	uint8_t out[LINES_MAX];
};

/* Closed ones that still have something to say, and somebody who may hear it. */
static pthread_mutex_t closing_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t closing_none;
static unsigned int closing;

static int64_t mono_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct timespec at_ms(int64_t ms)
{
	return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

static void add_count(_Atomic uint64_t *counter, uint64_t more)
{
	atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

/* ---- The thread: one message ---- */

/* The end of the process does not wait for it any longer. */
static void stop_awaiting(struct flow_sink *s)
{
	pthread_mutex_lock(&closing_lock);
	closing -= s->awaited;
	if (s->awaited && closing == 0)
		pthread_cond_broadcast(&closing_none);
	s->awaited = false;
	pthread_mutex_unlock(&closing_lock);
}

/* What the link has lost had been counted as sent. */
static void count_link_lost(struct flow_sink *s)
{
	if (s->link.lost == 0)
		return;
	add_count(&s->tally->lost, s->link.lost);
	atomic_fetch_sub_explicit(&s->tally->records, s->link.lost, memory_order_relaxed);
	s->link.lost = 0;
}

/* The link's losses and reason, where others read them. `away`: it takes nothing. */
static void publish(struct flow_sink *s, bool away)
{
	count_link_lost(s);
	pthread_mutex_lock(&s->lock);
	s->away = away;
	if (away && s->closed_ms != 0)
		stop_awaiting(s);
	if (strcmp(s->reason, s->link.reason) != 0) {
		if (s->link.reason[0] != '\0')
			log_warn("a flow log's collector does not take records",
				LOG_STR("flow_log", s->log), LOG_STR("reason", s->link.reason));
		memcpy(s->reason, s->link.reason, sizeof(s->reason));
	}
	pthread_mutex_unlock(&s->lock);
}

static void restart_templates(struct flow_sink *s)
{
	ipfix_restart_templates(&s->ipfix);
	s->templates_ms = mono_ms();
}

/* A record's parts, of which `part` is the next: as many as fit. True: all are in. */
typedef bool (*add_fn)(struct flow_sink *s, const struct flow_record *r, unsigned int direction);

static bool add_ipfix(struct flow_sink *s, const struct flow_record *r, unsigned int direction)
{
	return ipfix_add(&s->ipfix, r, direction);
}

static bool add_line(struct flow_sink *s, const struct flow_record *r, unsigned int direction)
{
	size_t room = s->link.type == FLOW_LINK_UDP ? IPFIX_MESSAGE_MAX : LINES_MAX;
	char text[FLOW_JSON_MAX];
	size_t len = flow_json_line(&s->lines, r, direction, text);

	if (s->ipfix.len + len > room && s->ipfix.len != 0)
		return false;
	memcpy(s->out + s->ipfix.len, text, len);
	s->ipfix.len += len;
	s->ipfix.records++;
	return true;
}

/* Where in the batch a message begins or ends. */
struct place {
	unsigned int record, direction;
};

static bool fill(struct flow_sink *s, struct place *at, add_fn add)
{
	for (; at->record < s->n_batch; at->record++, at->direction = 0) {
		const struct flow_record *r = &s->batch[at->record];
		bool event = r->nat_event != FLOW_NAT_NONE;
		bool both = !event && s->lines.biflow && r->packets[0] != 0;

		for (; at->direction < 2; at->direction++) {
			bool wanted = at->direction == 0 ? event || r->packets[0] != 0
							 : !event && !both && r->packets[1] != 0;

			if (wanted && !add(s, r, at->direction))
				return false;
		}
	}
	return true;
}

/* 0: it has gone out, or is lost and counted; -EAGAIN: nothing has. */
static int send_message(struct flow_sink *s, size_t len, uint32_t records)
{
	int rc;

	if (len == 0)
		return 0;
	rc = flow_link_send(&s->link, s->out, len, records);
	if (rc == 0) {
		add_count(&s->tally->records, records);
		return 0;
	}
	if (rc == -EAGAIN || s->link.type == FLOW_LINK_TCP)
		return rc;
	add_count(&s->tally->lost, records);
	return 0;
}

/* Templates and options that are due, in messages of their own. */
static int send_templates(struct flow_sink *s)
{
	bool all;
	int rc;

	if (s->link.type == FLOW_LINK_UDP && mono_ms() - s->templates_ms >= s->templates_period_ms)
		restart_templates(s);
	s->ipfix.sample = atomic_load_explicit(&s->sample, memory_order_relaxed);
	s->ipfix.sent = atomic_load_explicit(&s->tally->records, memory_order_relaxed);
	s->ipfix.lost = atomic_load_explicit(&s->tally->lost, memory_order_relaxed);
	do {
		unsigned int from = s->ipfix.next_template;
		uint32_t sequence = s->ipfix.sequence;

		ipfix_begin(&s->ipfix, s->out, IPFIX_MESSAGE_MAX);
		all = ipfix_add_templates(&s->ipfix);
		rc = send_message(s, ipfix_end(&s->ipfix, (uint32_t)time(NULL)), 0);
		if (rc != 0) {
			s->ipfix.next_template = from;
			s->ipfix.sequence = sequence;
			return rc;
		}
	} while (!all);
	return 0;
}

static int send_ipfix(struct flow_sink *s, struct place *at)
{
	int rc = send_templates(s);
	uint32_t sequence = s->ipfix.sequence;

	if (rc != 0)
		return rc;
	ipfix_begin(&s->ipfix, s->out, IPFIX_MESSAGE_MAX);
	fill(s, at, add_ipfix);
	rc = send_message(s, ipfix_end(&s->ipfix, (uint32_t)time(NULL)), s->ipfix.records);
	if (rc != 0)
		s->ipfix.sequence = sequence;
	return rc;
}

static int send_lines(struct flow_sink *s, struct place *at)
{
	s->ipfix.len = 0;
	s->ipfix.records = 0;
	fill(s, at, add_line);
	return send_message(s, s->ipfix.len, s->ipfix.records);
}

/* ---- The thread: connecting ---- */

/* 0: the link is open. */
static int open_link(struct flow_sink *s)
{
	int rc;

	if (s->link.fd < 0 && mono_ms() < s->retry_ms)
		return -EAGAIN;
	rc = flow_link_open(&s->link);
	if (rc < 0) {
		if (rc != -EAGAIN) {
			s->retry_ms = mono_ms() + s->delay_ms;
			s->delay_ms *= 2;
			if (s->delay_ms > RETRY_MAX_MS)
				s->delay_ms = RETRY_MAX_MS;
		}
		return rc;
	}
	if (rc == 1) {
		s->delay_ms = RETRY_MIN_MS;
		s->ipfix.sequence = s->link.type == FLOW_LINK_TCP ? 0 : s->ipfix.sequence;
		restart_templates(s);
	}
	return 0;
}

static void count_lost(struct flow_sink *s, const struct flow_record *r)
{
	add_count(&s->tally->lost, flow_record_parts(r, s->lines.biflow));
}

/* Records that no file takes do not wait: it will not be there sooner for that. */
static void give_up(struct flow_sink *s, const struct place *from)
{
	for (unsigned int i = from->record; i < s->n_batch; i++) {
		if (i == from->record && from->direction == 1)
			add_count(&s->tally->lost, 1);
		else
			count_lost(s, &s->batch[i]);
	}
	s->n_batch = 0;
}

/* Sends the batch; false: it is still there, at *at. */
static bool deliver(struct flow_sink *s, struct place *at)
{
	int rc = open_link(s);

	while (rc == 0 && at->record < s->n_batch) {
		struct place before = *at;

		rc = s->json ? send_lines(s, at) : send_ipfix(s, at);
		if (rc != 0)
			*at = before;
	}
	if (s->link.type == FLOW_LINK_FILE) {
		if (rc != 0)
			give_up(s, at);
		flow_link_close(&s->link); /* it may be renamed or removed at any time */
	}
	publish(s, rc != 0);
	if (rc == 0)
		s->n_batch = 0;
	return s->n_batch == 0;
}

/*
 * Whether it is there is to be known before there is anything to tell it. A file that was found is opened for records only:
 * it may be renamed or removed at any time.
 */
static bool is_away(struct flow_sink *s)
{
	if (s->link.type == FLOW_LINK_TCP)
		return open_link(s) != 0;
	if (s->link.type != FLOW_LINK_FILE || s->found)
		return false;
	s->found = flow_link_open(&s->link) == 1;
	flow_link_close(&s->link);
	if (s->found)
		s->retry_ms = 0;
	return !s->found;
}

/* ---- The thread: its queue ---- */

static void take(struct flow_sink *s)
{
	while (s->n_batch < BATCH && s->count > 0) {
		s->batch[s->n_batch++] = s->queue[s->head];
		s->head = (s->head + 1) % QUEUE_SIZE;
		s->count--;
	}
	if (s->count == 0)
		s->head = 0; /* memory that was used already */
}

/* Waits for records, and a little for more. With the lock. False: closed, and nothing is left or there is no more time for it. */
static bool wait_for_records(struct flow_sink *s, bool waiting)
{
	int64_t until = mono_ms() + (waiting ? RETRY_MIN_MS : LOOK_MS), gather = 0;

	while (s->closed_ms == 0 || waiting) {
		struct timespec t;
		int64_t now = mono_ms();

		if (!waiting && s->count >= BATCH / 2)
			break;
		if (!waiting && s->count > 0 && gather == 0)
			gather = until = now + GATHER_MS;
		if (now >= until)
			break;
		t = at_ms(until);
		pthread_cond_timedwait(&s->filled, &s->lock, &t);
	}
	return s->closed_ms == 0 ||
	       ((s->count > 0 || s->n_batch > 0) && mono_ms() - s->closed_ms < FLOW_SINK_LINGER_MS);
}

/* What nobody has taken is lost; `at` is where the batch is. */
static void end_sink(struct flow_sink *s, const struct place *at)
{
	give_up(s, at);
	for (; s->count > 0; s->count--, s->head = (s->head + 1) % QUEUE_SIZE)
		count_lost(s, &s->queue[s->head]);
	flow_link_close(&s->link);
	count_link_lost(s);
}

static void free_sink(struct flow_sink *s)
{
	flow_tally_put(s->tally);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->filled);
	free(s->queue);
	free(s);
}

static void *run(void *arg)
{
	struct flow_sink *s = arg;
	struct place at = {0, 0};
	bool waiting = false;

	if (s->link.type == FLOW_LINK_FILE)
		publish(s, is_away(s));
	pthread_mutex_lock(&s->lock);
	while (wait_for_records(s, waiting)) {
		if (s->n_batch == 0) {
			at = (struct place){0, 0};
			take(s);
		}
		pthread_mutex_unlock(&s->lock);
		flow_link_check(&s->link);
		if (s->n_batch > 0) {
			waiting = !deliver(s, &at);
		} else {
			publish(s, is_away(s));
		}
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	end_sink(s, &at);
	stop_awaiting(s);
	free_sink(s);
	return NULL;
}

/* ---- The control thread ---- */

struct flow_tally *flow_tally_new(void)
{
	struct flow_tally *tally = calloc(1, sizeof(*tally));

	return tally != NULL ? flow_tally_ref(tally) : NULL;
}

struct flow_tally *flow_tally_ref(struct flow_tally *tally)
{
	atomic_fetch_add_explicit(&tally->references, 1, memory_order_relaxed);
	return tally;
}

void flow_tally_put(struct flow_tally *tally)
{
	if (tally != NULL &&
		atomic_fetch_sub_explicit(&tally->references, 1, memory_order_acq_rel) == 1)
		free(tally);
}

static int start(struct flow_sink *s)
{
	static bool initialised;
	pthread_condattr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int rc;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!initialised)
		pthread_cond_init(&closing_none, &attr);
	initialised = true;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->filled, &attr);
	pthread_condattr_destroy(&attr);
	/* Signals are the control thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		pthread_detach(thread);
	return rc;
}

static void copy_name(char *to, const char *name)
{
	size_t len = strlen(name);

	memcpy(to, name, len < FLOW_NAME_MAX ? len : FLOW_NAME_MAX - 1);
}

struct flow_sink *flow_sink_open(const struct flow_sink_config *config)
{
	struct flow_sink *s = calloc(1, sizeof(*s));
	int error = ENOMEM;

	if (s != NULL)
		s->queue = calloc(QUEUE_SIZE, sizeof(*s->queue));
	if (s == NULL || s->queue == NULL)
		goto fail;
	error = EINVAL;
	if (!flow_link_parse(&s->link, config->collector))
		goto fail;
	copy_name(s->log, config->log);
	copy_name(s->node, config->node);
	s->json = config->json;
	s->lines = (struct flow_json){s->log, s->node, config->biflow};
	s->ipfix = (struct ipfix_writer){
		.domain = config->domain, .biflow = config->biflow, .process = (uint32_t)getpid()};
	s->templates_period_ms =
		config->templates_ms != 0 ? config->templates_ms : FLOW_SINK_TEMPLATES_MS;
	s->delay_ms = RETRY_MIN_MS;
	s->tally = flow_tally_ref(config->tally);
	error = start(s);
	if (error == 0)
		return s;
	flow_tally_put(s->tally);
fail:
	if (s != NULL)
		free(s->queue);
	free(s);
	errno = error;
	return NULL;
}

void flow_sink_put(struct flow_sink *s, const struct flow_record *record)
{
	unsigned int parts = flow_record_parts(record, s->lines.biflow);

	pthread_mutex_lock(&s->lock);
	if (s->count == QUEUE_SIZE) {
		add_count(&s->tally->lost, parts);
	} else {
		s->queue[(s->head + s->count) % QUEUE_SIZE] = *record;
		s->count++;
		if (s->count == 1 || s->count == BATCH / 2)
			pthread_cond_signal(&s->filled);
	}
	pthread_mutex_unlock(&s->lock);
}

void flow_sink_count_lost(struct flow_sink *s, uint64_t records)
{
	add_count(&s->tally->lost, records);
}

void flow_sink_set_sample(struct flow_sink *s, uint32_t sample)
{
	atomic_store_explicit(&s->sample, sample, memory_order_relaxed);
}

void flow_sink_figures(struct flow_sink *s, struct flow_sink_figures *f)
{
	f->records = atomic_load_explicit(&s->tally->records, memory_order_relaxed);
	f->lost = atomic_load_explicit(&s->tally->lost, memory_order_relaxed);
	pthread_mutex_lock(&s->lock);
	memcpy(f->reason, s->reason, sizeof(f->reason));
	pthread_mutex_unlock(&s->lock);
}

void flow_sink_close(struct flow_sink *s)
{
	pthread_mutex_lock(&s->lock);
	pthread_mutex_lock(&closing_lock);
	s->awaited = !s->away && !atomic_load(&s->link.stuck);
	closing += s->awaited;
	pthread_mutex_unlock(&closing_lock);
	s->closed_ms = mono_ms();
	pthread_cond_signal(&s->filled);
	pthread_mutex_unlock(&s->lock);
}

bool flow_sinks_wait(void)
{
	bool all;
	struct timespec until = at_ms(mono_ms() + FLOW_SINK_LINGER_MS);

	pthread_mutex_lock(&closing_lock);
	while (closing > 0)
		if (pthread_cond_timedwait(&closing_none, &closing_lock, &until) == ETIMEDOUT)
			break;
	all = closing == 0;
	pthread_mutex_unlock(&closing_lock);
	return all;
}
