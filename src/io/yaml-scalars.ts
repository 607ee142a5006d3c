/**
 * Single values of a YAML text: sizes, counts, words. null means that what was
 * wrong has been reported, with its line.
 */
import { parseSize } from "../base/units.ts";
import { nearest, parseCount } from "./quantity.ts";
import { nameOf, type YamlNode, type YamlTree } from "./yaml-tree.ts";

const SIZE_MEND = "write bytes, 0x…, or a size such as 512M or 4G";

export class YamlScalars {
  readonly tree: YamlTree;

  constructor(tree: YamlTree) {
    this.tree = tree;
  }

  bytes(node: YamlNode): number | null {
    const text = this.tree.text(node);
    if (text === null) return null;
    const bytes = parseSize(text);
    if (bytes !== null) return bytes;
    return this.tree.error(
      node,
      `${nameOf(node)}: "${text.slice(0, 40)}" is not a size`,
      SIZE_MEND,
    );
  }

  positiveBytes(node: YamlNode, what: string): number | null {
    const bytes = this.bytes(node);
    if (bytes !== 0) return bytes;
    return this.tree.error(node, `${what} is zero`, "a machine needs some; write e.g. 4G");
  }

  count(node: YamlNode, min: number, max: number): number | null {
    const text = this.tree.text(node);
    if (text === null) return null;
    const value = parseCount(text, max);
    if (value !== null && value >= min) return value;
    return this.tree.error(node, `${nameOf(node)} must be a whole number from ${min} to ${max}`);
  }

  oneOf<T extends string>(
    node: YamlNode,
    words: readonly T[],
    others: ReadonlyMap<string, T> = new Map(),
  ): T | null {
    const text = this.tree.text(node);
    if (text === null) return null;
    const word = words.find((candidate) => candidate === text) ?? others.get(text);
    if (word !== undefined) return word;
    const near = nearest(text, words);
    const mend = near === null ? `one of ${words.join(", ")}` : `did you mean "${near}"?`;
    return this.tree.error(node, `${nameOf(node)}: "${text.slice(0, 40)}" is not known`, mend);
  }
}
