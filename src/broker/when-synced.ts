import type { GroupCommit } from './storage.js';

/** Settles when a group is on the disk; undefined: it is. Only for groups that something went into. */
export function whenSynced(commit: GroupCommit, group: number): Promise<void> | undefined {
  if (commit.synced >= group) return undefined;
  return new Promise((resolve) => {
    const stop = commit.onSynced((synced) => {
      if (synced < group) return;
      stop();
      resolve();
    });
  });
}
