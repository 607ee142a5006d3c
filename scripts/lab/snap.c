// snap OUTDIR TAG: one near-atomic snapshot of the page allocator, taken inside the guest.
//
// All memory is allocated and locked first. Between the trace markers "SNAP BEGIN TAG" and
// "SNAP END TAG" the program only reads, so that a trace shows what, if anything, changed meanwhile.
//
// Always written: buddyinfo zoneinfo pagetypeinfo vmstat (as in /proc) and kpageflags.rle. With
// /bin/offsets (offsets.py; 64-bit kernels with BTF, KALLSYMS_ALL and /proc/kcore) also freelists
// and pageblocks. The forms are described in src/formats/snap.ts and src/formats/snap-pages.ts.
//
// Build: cc -O2 -static -o snap snap.c        SNAPMB: size of the buffer in MiB, 4 by default
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef uint64_t u64;
enum { MAX_CPUS = 256, MAX_NODES = 64, MAX_SEGMENTS = 512, LINE_ROOM = 256, LIST_LIMIT = 2000000 };

// Output: one buffer, cut into files at the end.
static char *arena;
static size_t used, room;
static struct { const char *name; size_t from, length; } files[16];
static int fileCount;

static void put(const char *format, ...) {
  va_list values;
  va_start(values, format);
  if (used + LINE_ROOM < room) used += vsnprintf(arena + used, LINE_ROOM, format, values);
  va_end(values);
}

static void beginFile(const char *name) {
  files[fileCount].name = name;
  files[fileCount].from = used;
}

static void endFile(void) {
  files[fileCount].length = used - files[fileCount].from;
  fileCount++;
}

static void copyFile(const char *path, const char *name) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) return;
  beginFile(name);
  ssize_t got;
  while (used < room && (got = read(fd, arena + used, room - used)) > 0) used += got;
  endFile();
  close(fd);
}

static void mark(const char *what, const char *tag) {
  char text[80];
  int fd = open("/sys/kernel/tracing/trace_marker", O_WRONLY);
  if (fd < 0) return;
  int length = snprintf(text, sizeof text, "SNAP %s %s\n", what, tag);
  if (write(fd, text, length) < 0) perror("trace_marker");
  close(fd);
}

// Kernel memory: /proc/kcore is an ELF file whose segments are the mapped ranges.
static int kcore = -1;
static struct { u64 address, size, offset; } segment[MAX_SEGMENTS];
static int segmentCount;

static int readKernel(u64 address, void *to, size_t size) {
  for (int i = 0; i < segmentCount; i++) {
    if (address < segment[i].address || address + size > segment[i].address + segment[i].size) continue;
    u64 at = segment[i].offset + (address - segment[i].address);
    return pread(kcore, to, size, at) == (ssize_t)size ? 0 : -1;
  }
  return -1;
}

static u64 word(u64 address) { u64 v = 0; readKernel(address, &v, 8); return v; }
static uint32_t half(u64 address) { uint32_t v = 0; readKernel(address, &v, 4); return v; }
static uint16_t quarter(u64 address) { uint16_t v = 0; readKernel(address, &v, 2); return v; }
static uint8_t byte(u64 address) { uint8_t v = 0; readKernel(address, &v, 1); return v; }

// Offsets and sizes by name, -1 where this kernel has no such field.
static struct { char name[32]; long long value; } offset[96];
static int offsetCount;

static long long off(const char *name) {
  for (int i = 0; i < offsetCount; i++)
    if (!strcmp(offset[i].name, name)) return offset[i].value;
  return -1;
}

static struct { const char *name; u64 address; } symbol[] = {
  {"node_data", 0}, {"contig_page_data", 0}, {"vmemmap_base", 0},
  {"memstart_addr", 0}, {"__per_cpu_offset", 0}, {"mem_section", 0},
};

static u64 symbolAt(const char *name) {
  for (size_t i = 0; i < sizeof symbol / sizeof *symbol; i++)
    if (!strcmp(symbol[i].name, name)) return symbol[i].address;
  return 0;
}

static void readSymbols(void) {
  FILE *f = fopen("/proc/kallsyms", "r");
  char line[512], name[256], type;
  unsigned long long address;
  if (!f) return;
  while (fgets(line, sizeof line, f)) {
    if (sscanf(line, "%llx %c %255s", &address, &type, name) != 3) continue;
    for (size_t i = 0; i < sizeof symbol / sizeof *symbol; i++)
      if (!strcmp(symbol[i].name, name)) symbol[i].address = address;
  }
  fclose(f);
}

static u64 vmemmap;              // address of the struct page of pfn 0
static u64 nodeData[MAX_NODES];  // 0 where there is no such node
static u64 cpuOffset[MAX_CPUS];
static int cpuCount;

// Everything that must be known before the lists can be read; 0 when they cannot.
static int openKernel(void) {
  FILE *f = fopen("/bin/offsets", "r");
  if (!f) return 0;
  while (offsetCount < 96 && fscanf(f, "%31s %lli", offset[offsetCount].name, &offset[offsetCount].value) == 2) offsetCount++;
  fclose(f);
  Elf64_Ehdr header;
  kcore = open("/proc/kcore", O_RDONLY);
  if (kcore < 0 || pread(kcore, &header, sizeof header, 0) != sizeof header) return 0;
  for (int i = 0; i < header.e_phnum && segmentCount < MAX_SEGMENTS; i++) {
    Elf64_Phdr p;
    if (pread(kcore, &p, sizeof p, header.e_phoff + (u64)i * header.e_phentsize) != sizeof p) return 0;
    if (p.p_type != PT_LOAD) continue;
    segment[segmentCount].address = p.p_vaddr;
    segment[segmentCount].size = p.p_memsz;
    segment[segmentCount++].offset = p.p_offset;
  }
  readSymbols();
  // x86 keeps the address in a variable; arm64 computes it from the start of RAM.
  if (symbolAt("vmemmap_base")) vmemmap = word(symbolAt("vmemmap_base"));
  else if (symbolAt("memstart_addr"))
    vmemmap = off("vmemmap_start") - (u64)((int64_t)word(symbolAt("memstart_addr")) >> 12) * off("page.size");
  if (!vmemmap || (!symbolAt("node_data") && !symbolAt("contig_page_data"))) return 0;
  if (!symbolAt("node_data")) nodeData[0] = symbolAt("contig_page_data");
  else for (int i = 0; i < MAX_NODES; i++) {
    u64 node = word(symbolAt("node_data") + 8 * i);
    nodeData[i] = node >> 48 == 0xffff ? node : 0;
  }
  cpuCount = sysconf(_SC_NPROCESSORS_ONLN);
  if (cpuCount > MAX_CPUS) cpuCount = MAX_CPUS;
  for (int i = 0; i < cpuCount; i++) cpuOffset[i] = word(symbolAt("__per_cpu_offset") + 8 * i);
  return 1;
}

// A list of pages, head first: "START count: pfn pfn ...". Lists without pages have no line.
static void putList(u64 head, const char *format, ...) {
  char start[96];
  va_list values;
  va_start(values, format);
  vsnprintf(start, sizeof start, format, values);
  va_end(values);
  u64 entry = word(head);
  if (!entry || entry == head) return;
  size_t at = used;
  int count = 0;
  put("%s %10s:", start, "");
  for (; entry && entry != head && count < LIST_LIMIT; entry = word(entry), count++)
    put(" %llx", (unsigned long long)((entry - off("page.lru") - vmemmap) / off("page.size")));
  put("%s\n", entry == head ? "" : " !TORN");
  char digits[12];
  snprintf(digits, sizeof digits, "%10d", count);
  memcpy(arena + at + strlen(start) + 1, digits, 10);
}

static void putZone(int node, int index, u64 zone) {
  char name[9] = {0};
  u64 area = zone + off("zone.free_area"), free = 0;
  readKernel(word(zone + off("zone.name")), name, 8);
  for (int order = 0; order < off("nr_orders"); order++)
    free += word(area + order * off("free_area.size") + off("free_area.nr_free")) << order;
  put("Z %d %d %s %llx", node, index, name, (long long)word(zone + off("zone.start")));
  put(" %llu %llu %llu", (long long)word(zone + off("zone.spanned")), (long long)word(zone + off("zone.present")), (long long)word(zone + off("zone.managed")));
  for (int i = 0; i < 4; i++) put(" %llu", (long long)word(zone + off("zone.watermark") + 8 * i));
  put(" %llu %llu", (long long)word(zone + off("zone.boost")), (long long)word(zone + off("zone.highatomic")));
  put(" %u %u %llu:", half(zone + off("zone.pageset_high")), half(zone + off("zone.pageset_batch")), (long long)free);
  for (int i = 0; i < off("nr_zones"); i++) put(" %llu", (long long)word(zone + off("zone.lowmem_reserve") + 8 * i));
  put("\n");
  for (int order = 0; order < off("nr_orders"); order++)
    for (int type = 0; type < off("nr_mt"); type++)
      putList(area + order * off("free_area.size") + 16 * type, "F %d %d %d %d", node, index, order, type);
}

static void putPerCpu(int node, int index, u64 zone) {
  for (int cpu = 0; cpu < cpuCount; cpu++) {
    u64 pcp = word(zone + off("zone.pcp")) + cpuOffset[cpu];
    put("C %d %d %d count %u high %u", node, index, cpu, half(pcp + off("pcp.count")), half(pcp + off("pcp.high")));
    put(" batch %u free_factor %u", half(pcp + off("pcp.batch")), quarter(pcp + off("pcp.free_factor")));
    if (off("pcp.alloc_factor") >= 0)
      put(" alloc_factor %u high_min %u high_max %u", byte(pcp + off("pcp.alloc_factor")), half(pcp + off("pcp.high_min")), half(pcp + off("pcp.high_max")));
    put("\n");
    for (int i = 0; i < off("nr_pcp_lists"); i++)
      putList(pcp + off("pcp.lists") + 16 * i, "P %d %d %d %d", node, index, cpu, i);
  }
}

static void putFreelists(void) {
  beginFile("freelists");
  for (int node = 0; node < MAX_NODES; node++)
    for (int index = 0; nodeData[node] && index < off("nr_zones"); index++) {
      u64 zone = nodeData[node] + index * off("zone.size");
      if (!word(zone + off("zone.managed")) && !word(zone + off("zone.spanned"))) continue;
      putZone(node, index, zone);
      putPerCpu(node, index, zone);
    }
  endFile();
}

// Sections of 2^section_bits bytes; pageblocks of 512 pages, 4 bits each.
static void putPageblocks(u64 maxPfn) {
  u64 pages = 1ull << (off("section_bits") - 12), perRoot = 4096 / off("mem_section.size");
  u64 roots = word(symbolAt("mem_section"));
  beginFile("pageblocks");
  for (u64 s = 0; s * pages < maxPfn; s++) {
    u64 root = word(roots + 8 * (s / perRoot));
    u64 section = root + (s % perRoot) * off("mem_section.size");
    u64 usage = root && (word(section) & 1) ? word(section + off("mem_section.usage")) : 0;
    if (!usage) continue;
    put("%llx: ", (long long)(s * pages));
    for (u64 b = 0; b < pages >> 9; b++)
      put("%llx", (long long)(word(usage + off("usage.flags") + 8 * (b / 16)) >> (4 * (b % 16)) & 15));
    put("\n");
  }
  endFile();
}

// One letter for the KPF_ bits of a page: the first that fits.
static char classOf(u64 flags) {
  static const struct { int bit; char letter; } classes[] = {
    {20, 'N'}, {10, 'B'}, {32, 'R'}, {22, 'H'}, {17, 'h'}, {7, 'S'}, {26, 'T'},
    {12, 'a'}, {14, 's'}, {5, 'l'}, {15, 'c'}, {16, 'c'},
  };
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
    if (flags >> classes[i].bit & 1) return classes[i].letter;
  return 'o';
}

static void putClasses(int fd, u64 maxPfn) {
  static u64 flags[512];
  u64 start = 0, pfn = 0;
  char run = 0;
  beginFile("kpageflags.rle");
  put("# start_pfn length class: B buddy-free N no-page R reserved H thp h hugetlb S slab T pagetable a anon s swapbacked l lru c compound o other\n");
  while (pfn < maxPfn) {
    ssize_t got = pread(fd, flags, sizeof flags, pfn * 8);
    if (got < 8) break;
    for (ssize_t i = 0; i < got / 8 && pfn < maxPfn; i++, pfn++) {
      char now = classOf(flags[i]);
      if (now == run) continue;
      if (run) put("%llx %llx %c\n", (long long)start, (long long)(pfn - start), run);
      start = pfn;
      run = now;
    }
  }
  if (run) put("%llx %llx %c\n", (long long)start, (long long)(pfn - start), run);
  endFile();
}

// The pfn behind the last page of System RAM.
static u64 endOfRam(void) {
  FILE *f = fopen("/proc/iomem", "r");
  char line[256];
  unsigned long long from, to;
  u64 end = 0;
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "%llx-%llx", &from, &to) == 2 && strstr(line, "System RAM") && (to >> 12) + 1 > end)
      end = (to >> 12) + 1;
  if (f) fclose(f);
  return end;
}

int main(int count, char **argument) {
  if (count < 3) return fprintf(stderr, "usage: snap OUTDIR TAG\n"), 2;
  u64 maxPfn = endOfRam();
  room = (size_t)(getenv("SNAPMB") ? atoi(getenv("SNAPMB")) : 4) << 20;
  arena = mmap(0, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (arena == MAP_FAILED) return perror("mmap"), 1;
  mlockall(MCL_CURRENT | MCL_FUTURE);
  int flags = open("/proc/kpageflags", O_RDONLY), exact = openKernel();
  struct sched_param priority = {50};
  sched_setscheduler(0, SCHED_FIFO, &priority);
  mark("BEGIN", argument[2]);
  if (exact) putFreelists(), putPageblocks(maxPfn);
  copyFile("/proc/buddyinfo", "buddyinfo");
  copyFile("/proc/zoneinfo", "zoneinfo");
  copyFile("/proc/pagetypeinfo", "pagetypeinfo");
  copyFile("/proc/vmstat", "vmstat");
  putClasses(flags, maxPfn);
  mark("END", argument[2]);
  mkdir(argument[1], 0755);
  for (int i = 0; i < fileCount; i++) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", argument[1], files[i].name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    if (write(fd, arena + files[i].from, files[i].length) < 0) perror(path);
    close(fd);
  }
  if (used + LINE_ROOM >= room) return fprintf(stderr, "snap: the buffer is full, set SNAPMB\n"), 1;
  return 0;
}
