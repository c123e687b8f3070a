// What the bundler makes of other files than TypeScript.

declare module "*?packed" {
    const text: string; // for unpack()
    export default text;
}
