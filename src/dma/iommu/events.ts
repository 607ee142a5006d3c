/**
 * What an IOMMU tells while it works: the kernel's trace events, and requests for
 * addresses that were refused, which no kernel traces.
 *
 * Linux: include/trace/events/iommu.h
 */

export type IommuEvent =
  | {
      readonly name: "map";
      readonly start: number;
      readonly address: number;
      readonly bytes: number;
    }
  | {
      readonly name: "unmap";
      readonly start: number;
      readonly bytes: number;
      readonly unmappedBytes: number;
    }
  | { readonly name: "add_device_to_group"; readonly group: number; readonly device: string }
  | { readonly name: "attach_device_to_domain"; readonly device: string }
  | {
      readonly name: "io_page_fault";
      readonly driver: string;
      readonly device: string;
      readonly address: number;
      readonly write: boolean;
    }
  | {
      readonly name: "iova_refused";
      readonly device: string;
      readonly pages: number;
      /** Last address that was allowed. */
      readonly limit: number;
      readonly words: string;
    };

/** As the kernel prints it behind the event's name. */
export function iommuEventText(e: IommuEvent): string {
  switch (e.name) {
    case "map":
      return `IOMMU: iova=${hex(e.start)} - ${hex(e.start + e.bytes)} paddr=${hex(e.address)} size=${e.bytes}`;
    case "unmap":
      return `IOMMU: iova=${hex(e.start)} - ${hex(e.start + e.bytes)} size=${e.bytes} unmapped_size=${e.unmappedBytes}`;
    case "add_device_to_group":
      return `IOMMU: groupID=${e.group} device=${e.device}`;
    case "attach_device_to_domain":
      return `IOMMU: device=${e.device}`;
    case "io_page_fault":
      return `IOMMU:${e.driver} ${e.device} iova=${hex(e.address)} flags=${e.write ? "0x0001" : "0x0000"}`;
    case "iova_refused":
      return `device=${e.device} pages=${e.pages} limit=${hex(e.limit)}: ${e.words}`;
  }
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(16, "0")}`;
}
