/** Which way a buffer's bytes go, by the calls that name it. */
import type { Case } from "./judgement.ts";
import type { TargetDevice } from "./use.ts";

const TO = /^(DMA_TO_DEVICE|PCI_DMA_TODEVICE)$/;
const FROM = /^(DMA_FROM_DEVICE|PCI_DMA_FROMDEVICE)$/;
const BOTH = /^(DMA_BIDIRECTIONAL|PCI_DMA_BIDIRECTIONAL)$/;
const SENDS = /^(f:tx_buf|regmap_(raw|bulk|noinc)_write|spi_write|i2c_master_send)/;
const RECEIVES = /^(f:rx_buf|regmap_(raw|bulk|noinc)_read|spi_read|i2c_master_recv)/;

/** Null where no call says. Linux: enum dma_data_direction */
export function directionOf({ touches }: Pick<Case, "touches">): TargetDevice["direction"] {
  let isSent = false;
  let isReceived = false;
  for (const { callee, names } of touches) {
    const both = names.some((name) => BOTH.test(name));
    if (both || SENDS.test(callee) || names.some((name) => TO.test(name))) isSent = true;
    if (both || RECEIVES.test(callee) || names.some((name) => FROM.test(name))) isReceived = true;
  }
  if (isSent && isReceived) return "both";
  return isSent ? "to device" : isReceived ? "from device" : null;
}
