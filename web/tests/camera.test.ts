// SPDX-License-Identifier: MIT

import { expect, test, vi } from "vitest";
import { startCamera, why } from "../page/camera";
import { S } from "../page/strings";

test.each([
    ["NotAllowedError", S.camera.denied],
    ["NotFoundError", S.camera.none],
    ["NotReadableError", S.camera.busy],
    ["SecurityError", S.camera.insecure],
    ["OverconstrainedError", S.camera.none],
    ["SomethingError", S.camera.other("it broke")],
])("%s has a way out", (name, sentence) => {
    expect(why(new DOMException("it broke", name))).toBe(sentence);
});

test("an address that is not safe has no cameras at all", async () => {
    vi.stubGlobal("navigator", {});
    const refused = startCamera(null as never, null, () => {});
    await expect(refused).rejects.toThrow(S.camera.insecure);
});
