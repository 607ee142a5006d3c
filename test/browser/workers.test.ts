// Goal: Web Workers share a memory as worker threads do, with a page that may not sleep as one of its
// CPUs. Method: a real browser; three workers run to their end, one is
// terminated in the middle of it, and nothing is lost.
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import chromium from "@sparticuz/chromium";
import { type Browser, chromium as playwright } from "playwright-core";
import { rolldown } from "rolldown";

let server: Server;
let browser: Browser;

async function bundled(name: string): Promise<string> {
  const input = fileURLToPath(new URL(`../support/${name}.ts`, import.meta.url));
  const build = await rolldown({ input, platform: "browser" });
  const { output } = await build.generate({ format: "esm" });
  await build.close();
  return output[0].code;
}

before(async () => {
  const files = new Map([
    ["/", "<!doctype html><meta charset=utf-8><script type=module src=/page.js></script>"],
    ["/page.js", await bundled("browser-page")],
    ["/worker.js", await bundled("browser-worker")],
  ]);
  server = createServer((request, response) => {
    const body = files.get(request.url ?? "");
    response.writeHead(body === undefined ? 404 : 200, {
      "content-type": request.url === "/" ? "text/html" : "text/javascript",
      // Shared memory needs both.
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  browser = await playwright.launch({
    executablePath: await chromium.executablePath(),
    args: chromium.args,
    headless: true,
  });
});

after(async () => {
  await browser?.close();
  server?.close();
});

test("three Web Workers, a page, and a worker that is terminated", async () => {
  const page = await browser.newPage();
  const { port } = server.address() as AddressInfo;
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.waitForFunction("globalThis.result !== undefined", null, { timeout: 60_000 });
  const result: unknown = await page.evaluate("globalThis.result");
  assert.ok(typeof result === "object" && result !== null);
  const { recovered, handedOver, ...rest } = result as Record<string, number>;
  assert.deepEqual(rest, { broken: [], free: 8192, managed: 8192 });
  assert.ok((recovered ?? 0) > 0 && (handedOver ?? 0) > 0);
});
