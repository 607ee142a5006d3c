// hog: small memory workloads for the capture guests.       Build: cc -O2 -static -o hog hog.c
//
//   hog fill MB SECS       touch MB of anonymous memory page by page, hold it
//   hog frag MB SECS       touch MB, give every second page back, hold the rest
//   hog frag16 MB SECS     touch MB, keep one page of 16
//   hog thp MB SECS        as fill, in huge pages
//   hog grow MB            touch until killed or done
//   hog churn MB ROUNDS    map and unmap pieces of 1 to 64 pages, in an order that is always the same
//   hog fork N             N children, each dirtying 32 pages, at most 8 at once
//
// LOCK=1 in the environment locks what is left, so that compaction cannot move it.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, HUGE_PAGE = 2 << 20, PIECES = 512 };

static char *map(size_t bytes) {
  char *p = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) perror("mmap"), exit(1);
  return p;
}

static void touch(char *p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += PAGE) p[i] = 1;
}

static unsigned next(void) {
  static unsigned state = 12345;
  state = state * 1103515245u + 12345u;
  return state >> 8;
}

static void forks(int children) {
  for (int live = 0, i = 0; i < children; i++, live++) {
    if (live == 8) wait(0), live--;
    if (!fork()) touch(map(32 * PAGE), 32 * PAGE), _exit(0);
  }
  while (wait(0) > 0) {}
}

static void churn(size_t bytes, int rounds) {
  static char *piece[PIECES];
  static size_t length[PIECES];
  size_t held = 0;
  for (long i = 0; i < rounds * (long)(bytes >> 16); i++) {
    int at = next() % PIECES;
    if (piece[at]) munmap(piece[at], length[at]), held -= length[at], piece[at] = 0;
    size_t wanted = (1 + next() % 64) * PAGE;
    if (held + wanted > bytes) continue;
    piece[at] = map(wanted + PAGE);
    madvise(piece[at], wanted, MADV_NOHUGEPAGE);
    length[at] = wanted;
    held += wanted;
    touch(piece[at], wanted);
  }
}

int main(int count, char **argument) {
  if (count < 3) return fprintf(stderr, "usage: hog fill|frag|frag16|thp|grow|churn|fork N [M]\n"), 2;
  const char *mode = argument[1];
  size_t bytes = (size_t)atol(argument[2]) << 20;
  int more = count > 3 ? atoi(argument[3]) : 0;
  if (!strcmp(mode, "fork")) return forks(atoi(argument[2])), 0;
  if (!strcmp(mode, "churn")) return churn(bytes, more), 0;
  char *p = (char *)(((size_t)map(bytes + HUGE_PAGE) + HUGE_PAGE - 1) & ~((size_t)HUGE_PAGE - 1));
  madvise(p, bytes, strcmp(mode, "thp") ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
  touch(p, bytes);
  if (!strcmp(mode, "frag"))
    for (size_t i = 0; i < bytes; i += 2 * PAGE) madvise(p + i, PAGE, MADV_DONTNEED);
  if (!strcmp(mode, "frag16"))
    for (size_t i = 0; i < bytes; i += 16 * PAGE) madvise(p + i + PAGE, 15 * PAGE, MADV_DONTNEED);
  if (getenv("LOCK")) mlockall(MCL_CURRENT | MCL_ONFAULT);
  sleep(more);
  return 0;
}
