/**
 * Heap sort in the steps of the kernel's own, for where equal elements must end in the order in which
 * it leaves them. It is not stable: what is taken off the heap and sifted down from its end decides.
 *
 * Linux: sort_r(), lib/sort.c (5.2 and later)
 */

/** `items` from the least up; `compare` as for Array.sort(). */
export function heapSorted<T>(items: readonly T[], compare: (a: T, b: T) => number): T[] {
  const heap = [...items];
  const at = (i: number): T => {
    const item = heap[i];
    if (item === undefined) throw new RangeError("heap sort left its heap");
    return item;
  };
  const swap = (i: number, j: number): void => {
    const item = at(i);
    heap[i] = at(j);
    heap[j] = item;
  };
  for (let root = heap.length >> 1; root-- > 0; ) siftDown(root, heap.length);
  for (let end = heap.length - 1; end > 0; end--) {
    swap(0, end);
    siftDown(0, end);
  }
  return heap;

  /** Down along the larger children to a leaf, then up again to where the element belongs. */
  function siftDown(root: number, end: number): void {
    let place = root;
    let child = 2 * place + 1;
    for (; child + 1 < end; child = 2 * place + 1) {
      place = compare(at(child), at(child + 1)) >= 0 ? child : child + 1;
    }
    if (child + 1 === end) place = child;
    while (place !== root && compare(at(root), at(place)) >= 0) place = (place - 1) >> 1;
    const target = place;
    for (let up = place; up !== root; ) {
      up = (up - 1) >> 1;
      swap(up, target);
    }
  }
}
