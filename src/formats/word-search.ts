/**
 * Looks for many words at once. Only every third place of a text is looked at, three letters each: of
 * five letters in a row, a word's window, one look takes in three. Where these are some window's, the
 * word is compared.
 *
 *   text    …l l o c  f a i l u r e…
 *   window       [c  f a i]
 *   looks      └─┴─┘└─┴─┘└─┴─┘
 */

/** Places of a text from one look to the next: as many as a window has threes of letters. */
const STEP = 3;
/** Letters that threes are known by; others fall on these, and the comparison tells. */
const LETTERS = 128;
/** Any letter: before and behind a word that is shorter than its window. */
const ANY = -1;

/** A word, and how far into it the look falls. */
interface Place {
  readonly word: string;
  readonly offset: number;
}

/** Whether a word that was found counts. */
type Accepts = (word: string, text: string, at: number) => boolean;

export class WordSearch {
  /** Whether some window has three letters with this hash, and whose. */
  readonly #threes = new Uint8Array(2 ** 16);
  readonly #places = new Map<number, Place[]>();
  readonly #accepts: Accepts;

  /**
   * Words have three letters at least. Their windows are their first letters, or begin behind a bar:
   * it is set where a word's letters are the rarest.
   */
  constructor(words: readonly string[], accepts: Accepts = () => true) {
    this.#accepts = accepts;
    for (const marked of words) {
      const word = marked.replace("|", "");
      const begin = word.length < STEP + 2 ? -1 : Math.max(0, marked.indexOf("|"));
      for (let offset = begin; offset < begin + STEP; offset++) this.#add({ word, offset });
    }
  }

  /**
   * The first place at or behind `from` that has a word, -1 for none; of words that overlap any one's.
   * Behind a word of three letters another letter must follow.
   */
  next(text: string, from: number): number {
    const threes = this.#threes;
    const end = text.length - 2;
    for (let at = from; at < end; at += STEP) {
      const hash = hashOf(text.charCodeAt(at), text.charCodeAt(at + 1), text.charCodeAt(at + 2));
      if (threes[hash] === 0) continue;
      const found = this.#wordAt(text, at, hash, from);
      if (found !== -1) return found;
    }
    return -1;
  }

  /** All words that `text` holds. */
  all(text: string): ReadonlySet<string> {
    const held = new Set<string>();
    const end = text.length - 2;
    for (let at = 0; at < end; at += STEP) {
      const hash = hashOf(text.charCodeAt(at), text.charCodeAt(at + 1), text.charCodeAt(at + 2));
      if (this.#threes[hash] === 0) continue;
      for (const { word, offset } of this.#places.get(hash) ?? []) {
        if (text.startsWith(word, at - offset) && at >= offset) held.add(word);
      }
    }
    return held;
  }

  #wordAt(text: string, at: number, hash: number, from: number): number {
    for (const { word, offset } of this.#places.get(hash) ?? []) {
      const start = at - offset;
      if (start >= from && text.startsWith(word, start) && this.#accepts(word, text, start)) {
        return start;
      }
    }
    return -1;
  }

  #add(place: Place): void {
    const code = (n: number): number => place.word.codePointAt(place.offset + n) ?? ANY;
    for (const a of lettersOf(code(0))) {
      for (const b of lettersOf(code(1))) {
        for (const c of lettersOf(code(2))) {
          const hash = hashOf(a, b, c);
          this.#threes[hash] = 1;
          this.#places.set(hash, [...(this.#places.get(hash) ?? []), place]);
        }
      }
    }
  }
}

function lettersOf(code: number): readonly number[] {
  return code === ANY ? Array.from({ length: LETTERS }, (_, letter) => letter) : [code];
}

function hashOf(a: number, b: number, c: number): number {
  return ((a & (LETTERS - 1)) << 9) ^ ((b & (LETTERS - 1)) << 2) ^ (c & (LETTERS - 1));
}
