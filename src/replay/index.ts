/** Replay: what a real kernel did, run through the engine page by page. */
export {};
