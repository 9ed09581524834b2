// A recording on this host: its file, and the images and policies that it names. Here: finding and opening them.
import { openDisk, readHostFile } from '../host.ts';
import { readPolicy } from '../policy-file.ts';
import { decodeRecording } from './recording.ts';
import type { Recording } from './recording.ts';

/** Do the words behind a command's options name a recording, and no program? */
export const isRecording = (rest: readonly string[]): boolean => rest.length === 1 && rest[0]!.endsWith('.qrec');

/** @throws UserError for what cannot be read, or is not as it was */
export const readRecording = (path: string): Recording => decodeRecording(readHostFile(path, path), path, {
  openDisk: ({ name, ...disk }) => openDisk({ image: name, ...disk }),
  readPolicy,
});
