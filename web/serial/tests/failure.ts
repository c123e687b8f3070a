// SPDX-License-Identifier: MIT

import { expect } from "vitest";

// What a promise is rejected with.
export async function failure(work: Promise<unknown>): Promise<Error> {
    return work.then(
        () => expect.fail("it must fail"),
        (error) => error,
    );
}
