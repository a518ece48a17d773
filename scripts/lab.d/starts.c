/* starts TIMES CMD [ARG..] : CMD [ARG..] - runs two commands TIMES times, taking turns, from the request to start one
 * until it has ended with status 0. Prints the median of each in microseconds, and the first one's peak memory in KiB.
 * posix_spawn copies nothing of this process, so what is measured is the command. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static double run(char **words, long *peak)
{
	struct rusage used;
	double start = now();
	pid_t pid;
	int status;

	errno = posix_spawnp(&pid, words[0], NULL, NULL, words, environ);
	if (errno || wait4(pid, &status, 0, &used) < 0) {
		perror(words[0]);
		exit(1);
	}
	if (status) {
		fprintf(stderr, "%s: wait status %#x\n", words[0], status);
		exit(1);
	}
	if (used.ru_maxrss > *peak)
		*peak = used.ru_maxrss;
	return now() - start;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *all, size_t count)
{
	qsort(all, count, sizeof *all, ascending);
	return all[count / 2];
}

int main(int argc, char **argv)
{
	size_t times = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	double *first = calloc(times, sizeof *first), *second = calloc(times, sizeof *second);
	char **other = argv + 2;
	long peak = 0, ignored = 0;

	while (other < argv + argc && strcmp(*other, ":"))
		other++;
	if (!times || !first || !second || other == argv + 2 || other >= argv + argc - 1)
		return 2;
	*other++ = NULL;
	for (size_t i = 0; i < times; i++) {
		first[i] = run(argv + 2, &peak);
		second[i] = run(other, &ignored);
	}
	printf("%.0f %.0f %ld\n", median(first, times), median(second, times), peak);
	return 0;
}
