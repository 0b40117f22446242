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

		string LibraryDirectory = Path.Combine(ModuleDirectory, "lib", Target.Platform.ToString());
		if (!Directory.Exists(LibraryDirectory))
		{
			throw new BuildException(
				"Renderlift: libzmq for {0} is not in {1}. Make the plugin anew: assemble.py --platform {0}",
				Target.Platform, LibraryDirectory);
		}
		if (Target.Platform == UnrealTargetPlatform.Win64)
		{
			PublicAdditionalLibraries.AddRange(Directory.GetFiles(LibraryDirectory, "*.lib"));
			foreach (string Dll in Directory.GetFiles(LibraryDirectory, "*.dll"))
			{
				// Loaded by RenderliftModule from the plugin's own folder, before the first call.
				PublicDelayLoadDLLs.Add(Path.GetFileName(Dll));
				RuntimeDependencies.Add("$(PluginDir)/Binaries/ThirdParty/Win64/" + Path.GetFileName(Dll), Dll);
			}
		}
		else if (Target.Platform == UnrealTargetPlatform.Linux)
		{
			string Library = Path.Combine(LibraryDirectory, "librenderlift_zmq.so");
			PublicAdditionalLibraries.Add(Library);
			PublicRuntimeLibraryPaths.Add(LibraryDirectory);
			RuntimeDependencies.Add(Library);
		}
	}
}
