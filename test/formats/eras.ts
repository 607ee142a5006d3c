// Small /proc/zoneinfo files in the shapes of kernels of which the corpus has no capture.
// The numbers are made up; every shape has at least two zones or two CPUs where its era can.

/** 2.6.13 on NUMA: hot and cold lists with a low mark, NUMA counters for each CPU. */
const V2_6_13 = `Node 0, zone      DMA
  pages free     2914
        min      17
        low      21
        high     25
        active   3
        inactive 11
        scanned  0 (a: 2 i: 5)
        spanned  4096
        present  4000
        protection: (0, 0, 1008)
  pagesets
    cpu: 1 pcp: 0
              count: 1
              low:   0
              high:  6
              batch: 1
    cpu: 1 pcp: 1
              count: 0
              low:   0
              high:  2
              batch: 1
            numa_hit:       812
            numa_miss:      4
            numa_foreign:   0
            interleave_hit: 9
            local_node:     790
            other_node:     26
  all_unreclaimable: 0
  prev_priority:     12
  temp_priority:     12
  start_pfn:         0
Node 0, zone   Normal
  pages free     70211
        min      1002
        low      1252
        high     1503
        active   31004
        inactive 24077
        scanned  64 (a: 17 i: 0)
        spanned  258048
        present  258048
        protection: (0, 0, 0)
  pagesets
  all_unreclaimable: 0
  prev_priority:     9
  temp_priority:     12
  start_pfn:         4096
`;

/** 2.6.20 on SMP: counters indented by four, protection after them, pages scanned in brackets. */
const V2_6_20 = `Node 0, zone   Normal
  pages free     12875
        min      935
        low      1168
        high     1402
        active   60001
        inactive 41234
        scanned  0 (a: 0 i: 0)
        spanned  225280
        present  223520
    nr_anon_pages 20033
    nr_mapped    5117
    nr_file_pages 81202
    nr_slab_reclaimable 9001
    nr_bounce    0
        protection: (0, 2047)
  pagesets
    cpu: 0 pcp: 0
              count: 44
              high:  186
              batch: 31
    cpu: 0 pcp: 1
              count: 12
              high:  62
              batch: 15
  vm stats threshold: 16
    cpu: 1 pcp: 0
              count: 120
              high:  186
              batch: 31
    cpu: 1 pcp: 1
              count: 3
              high:  62
              batch: 15
  vm stats threshold: 16
  all_unreclaimable: 0
  prev_priority:     12
  start_pfn:         4096
Node 0, zone  HighMem
  pages free     201
        min      128
        low      256
        high     384
        active   18
        inactive 7
        scanned  0 (a: 0 i: 0)
        spanned  32752
        present  32500
    nr_anon_pages 14
    nr_mapped    2
    nr_file_pages 31
    nr_slab_reclaimable 0
    nr_bounce    0
        protection: (0, 0)
  pagesets
  all_unreclaimable: 0
  prev_priority:     12
  start_pfn:         229376
`;

/** 2.6.28: four lists were scanned. */
const V2_6_28 = `Node 0, zone    DMA32
  pages free     9120
        min      1400
        low      1750
        high     2100
        scanned  7 (aa: 0 ia: 3 af: 0 if: 32)
        spanned  520176
        present  513064
    nr_free_pages 9120
    nr_inactive_anon 1
        protection: (0, 0, 0, 0)
  pagesets
    cpu: 0
              count: 155
              high:  186
              batch: 31
  vm stats threshold: 24
  all_unreclaimable: 0
  prev_priority:     12
  start_pfn:         4096
  inactive_ratio:    3
`;

/** 2.6.39 to 3.7: no managed; one CPU without SMP prints no threshold. */
const V2_6_39 = `Node 0, zone   Normal
  pages free     30111
        min      690
        low      862
        high     1035
        scanned  0
        spanned  131072
        present  130048
    nr_free_pages 30111
    nr_inactive_anon 12
    nr_vmscan_write 0
        protection: (0, 0)
  pagesets
    cpu: 0
              count: 101
              high:  186
              batch: 31
  all_unreclaimable: 0
  start_pfn:         262144
  inactive_ratio:    1
`;

/** 4.8 to 4.10: counters of the node, protection still last, node_scanned out of line. */
const V4_8 = `Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 4111
      nr_isolated_file 0
      nr_dirty     3
  pages free     3971
        min      33
        low      41
        high     49
   node_scanned  0
        spanned  4095
        present  3998
        managed  3977
      nr_free_pages 3971
      nr_mlock     0
        protection: (0, 2910, 7830, 7830)
  pagesets
    cpu: 0
              count: 0
              high:  0
              batch: 1
  vm stats threshold: 4
  node_unreclaimable:  0
  start_pfn:           1
  node_inactive_ratio: 1
Node 0, zone   Normal
  pages free     100200
        min      4100
        low      5125
        high     6150
   node_scanned  0
        spanned  1310720
        present  1310720
        managed  1283001
      nr_free_pages 100200
      nr_mlock     9
        protection: (0, 0, 0, 0)
  pagesets
    cpu: 0
              count: 71
              high:  186
              batch: 31
  vm stats threshold: 32
  node_unreclaimable:  0
  start_pfn:           1048576
  node_inactive_ratio: 7
`;

/** 4.18 of a distribution: one counter more than names for it; an empty zone. */
const V4_18 = `Node 0, zone   Normal
  per-node stats
      nr_written   51
                   777
  pages free     1
        min      2
        low      3
        high     4
        spanned  50
        present  40
        managed  30
        protection: (0, 0)
      nr_free_pages 1
  pagesets
    cpu: 0
              count: 0
              high:  0
              batch: 1
  node_unreclaimable:  0
  start_pfn:           16
Node 0, zone  Movable
  pages free     0
        min      0
        low      0
        high     0
        spanned  0
        present  0
        managed  0
        protection: (0, 0)
`;

/** 6.18: wider pagesets with both bounds, one counter more, no nr_bounce. */
const V6_18 = `Node 0, zone    DMA32
  per-node stats
      nr_inactive_anon 0
      pgdemote_proactive 0
  pages free     498000
        boost    0
        min      11000
        low      13750
        high     16500
        promo    19250
        spanned  1044480
        present  524158
        managed  498600
        cma      0
        protection: (0, 0, 0, 0, 0)
      nr_free_pages 498000
      nr_free_pages_blocks 497664
      nr_unaccepted 0
  pagesets
    cpu: 0
              count:    611
              high:     6875
              batch:    63
              high_min: 6875
              high_max: 62325
  vm stats threshold: 20
    cpu: 3
              count:    0
              high:     0
              batch:    63
              high_min: 6875
              high_max: 62325
  vm stats threshold: 20
  node_unreclaimable:  0
  start_pfn:           4096
`;

export const ERAS: ReadonlyMap<string, string> = new Map([
  ["2.6.13", V2_6_13],
  ["2.6.20", V2_6_20],
  ["2.6.28", V2_6_28],
  ["2.6.39", V2_6_39],
  ["4.8", V4_8],
  ["4.18", V4_18],
  ["6.18", V6_18],
]);
