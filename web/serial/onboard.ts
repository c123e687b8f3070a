// SPDX-License-Identifier: MIT
//
// Code that runs on a board: the files that tinyvlm-deploy sends, as they are, and two of the page's.
//
//     call("sums.sums", ["pets.tvp"])      // code that prints what the function returns

import check from "../../host/tinyvlm/boards/onboard/check.py?raw";
import facts from "../../host/tinyvlm/boards/onboard/facts.py?raw";
import files from "../../host/tinyvlm/boards/onboard/files.py?raw";
import listing from "../../host/tinyvlm/boards/onboard/listing.py?raw";
import read from "../../host/tinyvlm/boards/onboard/read.py?raw";
import romfs from "../../host/tinyvlm/boards/onboard/romfs.py?raw";
import sums from "../../host/tinyvlm/boards/onboard/sums.py?raw";
import switching from "../../host/tinyvlm/boards/onboard/switch.py?raw";
import whole from "../../host/tinyvlm/boards/onboard/whole.py?raw";
import about from "./onboard/about.py?raw";
import put from "./onboard/put.py?raw";

export const ENGINE = "_tinyvlm"; // the engine's module, as the device package imports it
// The places where the device package looks for an encoder, in its order.
export const PLACES = ["/rom", "/rom/lib", "", "/lib", "/flash", "/sd"];

type Argument = string | number | Argument[];

const SOURCES: Record<string, string> = {
    about, check, facts, files, listing, put, read, romfs, sums, switch: switching, whole,
};

// The file of `name` ("file.function"), and a line that prints what the function returns.
export function call(name: string, ...given: Argument[]): string {
    const [file, what] = name.split(".");
    return `${SOURCES[file]}\n${again(what, ...given)}`;
}

// That line alone, for a function that the last call brought to the board. JSON's strings, numbers
// and lists are Python's, too.
export function again(what: string, ...given: Argument[]): string {
    return `print(repr(${what}(${given.map((one) => JSON.stringify(one)).join(", ")})))`;
}
