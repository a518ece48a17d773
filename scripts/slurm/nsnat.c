/*
 * A plugin of Slurm (SPANK): `srun --egress=NAME`. The tasks of the step run in nsnat's namespace NAME of their node.
 *
 * THEORY OF OPERATION
 *
 * slurmstepd forks a process for each task. That process calls this plugin while it is still root's, becomes the user, and
 * then the task. Only a process itself can enter a namespace, so the entering has to happen in here. All else is left to
 * nsnat-exec, which is made for that: it alone knows what a namespace is, who may enter it, and what a command sees inside.
 * So this file reads no record of nsnat, and makes no mount.
 *
 * 1. Once for each step, before there are tasks: `nsnat-exec NAME -- cat`, with the user and the groups of the job as its
 *    real ones, which is how nsnat-exec sees a caller when it has its set-user-id bit. (It needs no set-user-id bit for that,
 *    because whoever starts it here is root.) What it says goes to the user.
 * 2. In each task: the same as root. When cat answers, its process is inside; this one opens the network and the mount
 *    namespace of that process, enters both, and ends cat. The process is root's the whole time. One of the user's
 *    could go into namespaces of the user's own making meanwhile, and a process of root would follow.
 * 3. In each task, as the user: where any of this failed, the task ends. No callback says so to Slurm by its result. Where
 *    plugstack.conf has `optional`, Slurm would go on outside of the namespace, and elsewhere take a name that a user
 *    mistyped for a fault of the node.
 *
 * What comes from outside is the name, which is compared with nsnat's rule for names. No variable of the environment is
 * read, the helper gets none, and there is no shell. Task and cat are in the job's control group, and end with it.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slurm/spank.h>

SPANK_PLUGIN(nsnat, 1)

static const char HELPER[] = "/usr/local/libexec/nsnat/nsnat-exec";
static const char CAT[] = "/bin/cat";

/* The word for the host's own way, where plugstack.conf has a default. */
static const char NONE[] = "none";

/* By this, a job knows where it is, as the commands of `nsnat exec` do. */
static const char VARIABLE[] = "NSNAT_NAMESPACE";

/* By this, `srun` in a step passes its egress on. Slurm itself sets it for the shell of salloc, and something like it for the
 * script of sbatch. */
static const char INHERITED[] = "_SLURM_SPANK_OPTION_nsnat_egress";

/* Of `nsnat exec`: it failed itself. */
enum { FAILED = 125, LONGEST = 64 };

/* Milliseconds; a node may be busy. */
enum { PATIENCE = 30000 };

/* The namespace; empty where the tasks leave by the host's own way. */
static char egress[LONGEST + 1];

/* What was asked for, or plugstack.conf, makes no sense: nothing is started then. */
static bool senseless;

/* How far it is. */
static enum { UNKNOWN, PERMITTED, ENTERED, REFUSED } progress;

struct caller {
	uid_t user;
	gid_t group;
	const gid_t *groups;
	int count;
};

static const struct caller ROOT;

static bool is_name(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > LONGEST || strchr("_.-", text[0]))
		return false;
	for (; *text; text++) {
		if (!isascii(*text) || !(isalnum((unsigned char)*text) || strchr("_.-", *text)))
			return false;
	}
	return true;
}

static bool is_wanted(void)
{
	return senseless || egress[0] != '\0';
}

/* Takes the option, or the default of plugstack.conf. */
static int choose(int value, const char *name, int remote)
{
	(void)value;
	(void)remote;
	senseless = !name || !is_name(name);
	egress[0] = '\0';
	if (senseless) {
		slurm_error("nsnat: egress: this is no name of a namespace");
		return ESPANK_BAD_ARG;
	}
	if (strcmp(name, NONE) != 0)
		snprintf(egress, sizeof(egress), "%s", name);
	return ESPANK_SUCCESS;
}

static struct spank_option option = {
	(char *)"egress", (char *)"NAME",
	(char *)"leave by the way of nsnat's namespace NAME (\"none\": by the node's own)", 1, 0, choose
};

/* The only argument that there can be is `default=NAME`. */
int slurm_spank_init(spank_t spank, int count, char **args)
{
	static const char key[] = "default=";

	for (int i = 0; i < count; i++) {
		if (strncmp(args[i], key, strlen(key)) != 0) {
			slurm_error("nsnat: plugstack.conf: %s is not known; default=NAME is", args[i]);
			senseless = true;
			return ESPANK_BAD_ARG;
		}
		if (choose(0, args[i] + strlen(key), 0) != ESPANK_SUCCESS)
			return ESPANK_BAD_ARG;
	}
	return spank_option_register(spank, &option);
}

/* Says what the helper said, line by line. */
static void pass_on(int from)
{
	char text[1024], *rest = NULL;
	ssize_t length = read(from, text, sizeof(text) - 1);

	text[length < 0 ? 0 : length] = '\0';
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		for (char *at = line; *at; at++) {
			if (iscntrl((unsigned char)*at))
				*at = '?';
		}
		slurm_error("%s", line);
	}
}

/* In the child: becomes nsnat-exec, called by `caller`. */
static void become(const struct caller *caller, int in, int out, int error)
{
	char *const words[] = { (char *)"nsnat-exec", egress, (char *)"--", (char *)CAT, NULL };
	char *const nothing[] = { NULL };
	static const char why[] = "nsnat: the helper cannot be started: is nsnat installed on this node, and slurmd root's?\n";

	if (dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(error, 2) == 2 && seteuid(0) == 0
	    && setgroups((size_t)caller->count, caller->groups) == 0
	    && setresgid(caller->group, caller->group, caller->group) == 0 && setresuid(caller->user, 0, 0) == 0)
		execve(HELPER, words, nothing);
	if (write(2, why, sizeof(why) - 1) < 0)
		_exit(FAILED);
	_exit(FAILED);
}

/* A helper that runs, and the ends of its pipes that are ours. */
struct helper {
	pid_t process;
	int in, out, error;
};

static void shut(int *end)
{
	if (*end >= 0)
		close(*end);
	*end = -1;
}

/* Its standard input holds one byte, which cat gives back as soon as it runs. (It is written before there is a reader that
 * could die, so no signal comes of it.) Its standard error is read when it has ended, and whoever holds that open then is not
 * waited for. */
static bool start(struct helper *helper, const struct caller *caller)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, error[2] = { -1, -1 };

	helper->process = -1;
	if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(error, O_CLOEXEC | O_NONBLOCK) == 0
	    && write(in[1], "x", 1) == 1)
		helper->process = fork();
	if (helper->process == 0)
		become(caller, in[0], out[1], error[1]);
	shut(&in[0]);
	shut(&out[1]);
	shut(&error[1]);
	*helper = (struct helper){ helper->process, in[1], out[0], error[0] };
	return helper->process > 0;
}

/* Whether cat answers. The user can stop a process that has the user's number, and slurmstepd must not wait for that one. */
static bool is_inside(const struct helper *helper)
{
	struct pollfd answer = { .fd = helper->out, .events = POLLIN };
	char byte;
	int ready;

	do
		ready = poll(&answer, 1, PATIENCE);
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		slurm_error("nsnat: the helper does not answer");
	return ready > 0 && read(helper->out, &byte, 1) == 1;
}

/* Ends cat. By now the helper has said what it had to say. */
static void finish(struct helper *helper, bool tell)
{
	if (helper->process > 0) {
		kill(helper->process, SIGKILL);
		while (waitpid(helper->process, NULL, 0) < 0 && errno == EINTR)
			;
		if (tell)
			pass_on(helper->error);
	}
	shut(&helper->in);
	shut(&helper->out);
	shut(&helper->error);
}

/* Whether nsnat lets the user of the job in; it says why not, and whatever else there is to know. */
static bool is_permitted(spank_t spank)
{
	struct caller caller;
	struct helper helper;
	gid_t *groups;
	bool inside;

	if (senseless) {
		slurm_error("nsnat: the egress that was asked for, or plugstack.conf, makes no sense");
		return false;
	}
	if (spank_get_item(spank, S_JOB_UID, &caller.user) != ESPANK_SUCCESS
	    || spank_get_item(spank, S_JOB_GID, &caller.group) != ESPANK_SUCCESS
	    || spank_get_item(spank, S_JOB_SUPPLEMENTARY_GIDS, &groups, &caller.count) != ESPANK_SUCCESS) {
		slurm_error("nsnat: Slurm does not say whose job this is");
		return false;
	}
	caller.groups = groups;
	inside = start(&helper, &caller) && is_inside(&helper);
	finish(&helper, true);
	return inside;
}

/* Opens a namespace of the helper's process. */
static int open_namespace(const struct helper *helper, const char *kind)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/ns/%s", (long)helper->process, kind);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Enters what the helper entered. slurmstepd changes to the working directory afterwards, as the user. */
static bool enter(void)
{
	int network = -1, mounts = -1;
	struct helper helper;
	bool inside = start(&helper, &ROOT) && is_inside(&helper);

	if (inside) {
		network = open_namespace(&helper, "net");
		mounts = open_namespace(&helper, "mnt");
	}
	finish(&helper, !inside);
	if (inside && (setns(network, CLONE_NEWNET) != 0 || setns(mounts, CLONE_NEWNS) != 0)) {
		slurm_error("nsnat: namespace %s: cannot be entered: %s", egress, strerror(errno));
		inside = false;
	}
	shut(&network);
	shut(&mounts);
	return inside;
}

/* In slurmstepd, before there are tasks: what is said here is said once. */
int slurm_spank_user_init(spank_t spank, int count, char **args)
{
	(void)count;
	(void)args;
	if (is_wanted())
		progress = is_permitted(spank) ? PERMITTED : REFUSED;
	return ESPANK_SUCCESS;
}

/* In the task, as root. */
int slurm_spank_task_init_privileged(spank_t spank, int count, char **args)
{
	(void)count;
	(void)args;
	/* Wherever this was sent from, and whatever the step before was. */
	spank_unsetenv(spank, VARIABLE);
	if (progress == PERMITTED && enter() && spank_setenv(spank, VARIABLE, egress, 1) == ESPANK_SUCCESS
	    && spank_setenv(spank, INHERITED, egress, 1) == ESPANK_SUCCESS)
		progress = ENTERED;
	return ESPANK_SUCCESS;
}

/* In the task, as the user, before anything of the user's runs in it. */
int slurm_spank_task_init(spank_t spank, int count, char **args)
{
	(void)spank;
	(void)count;
	(void)args;
	if (is_wanted() && progress != ENTERED)
		_exit(FAILED);
	return ESPANK_SUCCESS;
}
