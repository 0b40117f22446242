// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

using System.IO;
using UnrealBuildTool;

// libzmq (MPL-2.0), used through zmq.h alone: a C interface, so its own C++ runtime never meets the engine's.
public class RenderliftZmq : ModuleRules
{
	public RenderliftZmq(ReadOnlyTargetRules Target) : base(Target)
	{
		Type = ModuleType.External;
		PublicSystemIncludePaths.Add(Path.Combine(ModuleDirectory, "include"));

		if (Target.Platform == UnrealTargetPlatform.Win64)
		{
			string Dll = Path.Combine(ModuleDirectory, "lib", "Win64", "libzmq.dll");
			PublicAdditionalLibraries.Add(Path.Combine(ModuleDirectory, "lib", "Win64", "libzmq.lib"));
			// Loaded by RenderliftModule from the plugin's own folder, before the first call.
			PublicDelayLoadDLLs.Add("libzmq.dll");
			RuntimeDependencies.Add("$(PluginDir)/Binaries/ThirdParty/Win64/libzmq.dll", Dll);
		}
		else if (Target.Platform == UnrealTargetPlatform.Linux)
		{
			string Library = Path.Combine(ModuleDirectory, "lib", "Linux", "librenderlift_zmq.so");
			PublicAdditionalLibraries.Add(Library);
			PublicRuntimeLibraryPaths.Add(Path.GetDirectoryName(Library));
			RuntimeDependencies.Add(Library);
		}
	}
}
