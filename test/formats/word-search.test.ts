// Goal: the search that looks at every third place only finds what a look at each place finds, and the
// sieve holds back each line that has one of its words. Method: texts made of words, pieces of them and
// what lies between, compared with String.includes(); every word at each column.
import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { HELD_WORDS, nextHeld } from "../../src/formats/failure-sieve.ts";
import { WordSearch } from "../../src/formats/word-search.ts";

const WORDS = ["DMA", "Mem-", "DMA mask", "coherent DMA mask", "all|oc fail", "IOMMU", "mmu full"];
const PLAIN = WORDS.map((word) => word.replace("|", ""));
const SEARCH = new WordSearch(WORDS);

const piece = fc.oneof(
  fc.constantFrom(...PLAIN),
  fc.constantFrom(...PLAIN).chain((word) => fc.nat(word.length).map((n) => word.slice(n))),
  fc.constantFrom(...PLAIN).chain((word) => fc.nat(word.length).map((n) => word.slice(0, n))),
  fc.string({ maxLength: 4 }),
  fc.constantFrom("\n", "\u0144", "\u{1f427}"),
);
/** A letter behind, which words of three need. */
const text = fc.array(piece, { maxLength: 12 }).map((pieces) => `${pieces.join("")}\n`);

describe("a search for many words", () => {
  test("finds each that a text holds, and no other", () => {
    fc.assert(
      fc.property(text, (own) => {
        deepEqual([...SEARCH.all(own)].sort(), PLAIN.filter((word) => own.includes(word)).sort());
      }),
      { numRuns: 2000 },
    );
  });

  test("finds one behind any place, or none", () => {
    fc.assert(
      fc.property(text, fc.nat(40), (own, from) => {
        const at = SEARCH.next(own, from);
        const rest = own.slice(from);
        equal(
          at !== -1,
          PLAIN.some((word) => rest.includes(word)),
        );
        if (at !== -1) ok(at >= from && PLAIN.some((word) => own.startsWith(word, at)));
      }),
      { numRuns: 2000 },
    );
  });

  test("finds only what it is told to accept", () => {
    const picky = new WordSearch(["DMA", "DMA mask"], (_word, own, at) => own[at - 1] === "(");
    equal(picky.next("a DMA mask (DMA mask)\n", 0), 12);
    equal(picky.next("a DMA mask\n", 0), -1);
  });
});

describe("the sieve", () => {
  test("holds back the line of each of its words, at any column", () => {
    for (const words of HELD_WORDS) {
      for (let column = 0; column < 6; column++) {
        const line = `eth0: up\n${"x".repeat(column)}Node 0${words}0kB min:\nlo: up\n`;
        const end = line.indexOf("\n", 9);
        const at = nextHeld(line, 0);
        ok(at > 8 && at < end, `${words} at ${column}`);
        equal(nextHeld(line, end + 1), Number.POSITIVE_INFINITY);
      }
    }
  });

  test("lets words pass that have not what stands around them", () => {
    for (const line of ["free: 12", "memory: all", "overflow x", "x, zone DM"]) {
      equal(nextHeld(`${line}\n`, 0), Number.POSITIVE_INFINITY, line);
    }
    ok(nextHeld("free: 12 memory: 12\n", 0) < 20);
  });
});
